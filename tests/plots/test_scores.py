import numpy as np
import pandas as pd
import pytest
from tests.plots.drawn import texts

from priorwise.plots.scores import N_BINS, score_histogram


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.5
    s = y & (rng.random(n) < 0.5)
    return pd.DataFrame({"probability": rng.beta(1 + 3 * y, 2), "label": s.astype(int)})


def heights(figure):
    """Values of the histograms: all rows, labelled, expected positives."""
    return [np.asarray(patch.get_data().values) for patch in figure.axes[0].patches]


def test_counts_and_expected_positives():
    scores = table()
    everyone, labelled, expected = heights(score_histogram(scores, "t", 0.5, 0.45))
    assert len(everyone) == N_BINS and everyone.sum() == 400
    assert labelled.sum() == scores["label"].sum()
    assert expected.sum() == pytest.approx(0.45 * 400)  # pi of all rows are positive
    np.testing.assert_allclose(expected * labelled.sum(), labelled * 0.45 * 400)


def test_pi_follows_from_c_if_not_given():
    scores = table()
    *_, expected = heights(score_histogram(scores, "t", 0.5))
    assert expected.sum() == pytest.approx(scores["label"].sum() / 0.5)


def test_says_what_it_shows():
    said = texts(score_histogram(table(), "Test Set 1 scores", 0.5, 0.45))
    for part in ("Test Set 1 scores", "P(s=1 | x)", "rows per", "pi = 0.450", "negatives", "400"):
        assert part in said


@pytest.mark.parametrize("label", [0, 1])
def test_one_kind_of_rows_only(label):
    figure = score_histogram(table().assign(label=label), "t", 0.5)
    assert len(heights(figure)) == (2 if label == 0 else 3)
    figure.canvas.draw()


def test_no_rows():
    score_histogram(table().iloc[:0], "t", 0.5).canvas.draw()
