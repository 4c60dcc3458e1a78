import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from tests.reference import selection

from priorwise.pu.score_histogram import BINS, ScoreHistogram


def area(scores, labelled):
    return ScoreHistogram.of(scores, labelled).labelled_auc()


@pytest.mark.parametrize("centre", [0.0, -3.0, 8.0, -500.0])
@pytest.mark.parametrize("width", [0.05, 1.0, 20.0])
def test_within_a_thousandth_of_the_exact_area(centre, width):
    rng = np.random.default_rng(0)
    s = rng.random(20_000) < 0.2
    scores = centre + width * max(1, abs(centre) / 10) * rng.normal(np.where(s, 0.8, 0.0))
    assert area(scores, s) == pytest.approx(roc_auc_score(s, scores), abs=1e-3)
    logits = scores.astype(np.float32)  # as a network gives them
    assert area(logits, s) == pytest.approx(roc_auc_score(s, logits), abs=1e-3)


rows = st.lists(
    st.tuples(st.sampled_from([-700.0, -2.5, -1.0, -0.0, 0.0, 0.3, 1.0, 40.0]), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_ties_count_half(batch):
    scores, s = np.array([f for f, _ in batch]), np.array([label for _, label in batch])
    if s.all() or not s.any():
        assert np.isnan(area(scores, s))
        return
    assert area(scores, s) == pytest.approx(selection.auc(scores[s], scores[~s]))


@given(rows, st.integers(0, 30))
def test_adds_up_over_batches_exactly(batch, cut):
    scores, s = np.array([f for f, _ in batch]), np.array([label for _, label in batch])
    parts = [ScoreHistogram.of(scores[:cut], s[:cut]), ScoreHistogram.of(scores[cut:], s[cut:])]
    whole = ScoreHistogram.of(scores, s)
    for total in (parts[0] + parts[1], parts[1] + ScoreHistogram.zero() + parts[0]):
        np.testing.assert_array_equal(total.counts, whole.counts)


def test_extreme_scores():
    scores = [-np.inf, -1e30, 1e30, np.inf]
    assert area(scores, [0, 0, 1, 1]) == 1 and area(scores, [1, 1, 0, 0]) == 0
    assert area([0.0, 0.0], [0, 1]) == 0.5
    assert ScoreHistogram.of(scores, [0, 0, 1, 1]).counts[0, 0] == 2
    assert ScoreHistogram.of(scores, [0, 0, 1, 1]).counts[1, BINS - 1] == 2


def test_a_score_that_is_no_number_leaves_no_area():
    broken = ScoreHistogram.of([0.0, float("nan"), 1.0], [0, 1, 1])
    assert np.isnan(broken.labelled_auc())
    assert np.isnan((broken + ScoreHistogram.of([0.0, 1.0], [0, 1])).labelled_auc())


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="^labelled:"):
        ScoreHistogram.of([0.0, 1.0], [1])
