import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.pu.score_table import RowScores, ScoreTable, checked_scores

rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.125, 0.3, 0.5, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=1,
    max_size=40,
)


def of(batch):
    return ScoreTable.of([g for g, _ in batch], [s for _, s in batch])


def assert_same(a, b):
    for name in ("score", "p", "u"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_counts_by_hand():
    table = ScoreTable.of([0.5, 0.25, 0.5, 1, 0.25, 0.5], [1, 0, 0, 1, 0, 1])
    assert table.score.tolist() == [0.25, 0.5, 1]
    assert table.p.tolist() == [0, 2, 1]
    assert table.u.tolist() == [2, 1, 0]
    assert (table.n_p, table.n_u, table.s) == (3, 3, 0.5)
    assert ScoreTable.of([0.1, 0.2, 0.3, 0.4], [1, 0, 0, 0]).s == 0.25


@given(rows)
def test_agrees_with_counting_rows(batch):
    table = of(batch)
    assert table.score.tolist() == sorted({g for g, _ in batch})
    for g, p, u in zip(table.score, table.p, table.u, strict=True):
        assert p == sum(1 for o, s in batch if o == g and s)
        assert u == sum(1 for o, s in batch if o == g and not s)


@given(rows, st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(batch, random):
    shuffled = list(batch)
    random.shuffle(shuffled)
    assert_same(of(batch), of(shuffled))


@given(rows, st.integers(1, 4))
def test_duplicated_rows_count_each_time(batch, times):
    once, often = of(batch), of(batch * times)
    assert_same(often, ScoreTable(once.score, once.p * times, once.u * times))
    assert often.s == pytest.approx(once.s, abs=1e-15)


@given(rows, st.data())
def test_a_weighted_table_is_the_table_of_repeated_rows(batch, data):
    times = data.draw(st.lists(st.integers(0, 3), min_size=len(batch), max_size=len(batch)))
    repeated = [row for row, n in zip(batch, times, strict=True) for _ in range(n)]
    if not repeated:
        return
    score, s = np.array([g for g, _ in batch]), np.array([s for _, s in batch])
    counted = RowScores(score, s)
    assert len(counted) == len(batch)
    assert_same(counted.table(np.array(times, float)), of(repeated))
    assert_same(counted.table(), of(batch))


def test_other_scores_for_the_same_rows():
    table = ScoreTable.of([0.1, 0.2, 0.3, 0.3], [0, 1, 1, 0])
    merged = table.with_scores(np.array([0.5, 0.5, 0.9]))
    assert_same(merged, ScoreTable.of([0.5, 0.5, 0.9, 0.9], [0, 1, 1, 0]))
    turned = table.with_scores(np.array([0.9, 0.5, 0.1]))
    assert_same(turned, ScoreTable.of([0.9, 0.5, 0.1, 0.1], [0, 1, 1, 0]))


def test_needs_both_kinds_of_rows():
    ScoreTable.of([0.1, 0.2], [0, 1]).require_both()
    with pytest.raises(ValueError, match=r"^scores: no labelled row"):
        ScoreTable.of([0.1, 0.2], [0, 0]).require_both()
    with pytest.raises(ValueError, match=r"^scores: no unlabelled row"):
        ScoreTable.of([0.1, 0.2], [1, 1]).require_both()


BAD_SCORES = {
    "none": [],
    "nan": [0.5, math.nan],
    "above 1": [0.5, 1.0000001],
    "below 0": [0.5, -1e-9],
    "infinite": [0.5, math.inf],
    "logits": [-2.3, 0.4, 3.1],
    "percent": [12.0, 99.0],
    "two columns": [[0.5, 0.5]],
    "a number": 0.5,
}


@pytest.mark.parametrize("scores", BAD_SCORES.values(), ids=BAD_SCORES)
def test_what_is_no_probability_is_refused(scores):
    with pytest.raises(ValueError, match=r"^held_out: [^\n]+$"):
        checked_scores(scores, "held_out")
    with pytest.raises(ValueError, match=r"^score: [^\n]+$"):
        ScoreTable.of(scores, np.zeros(np.shape(scores)))


def test_the_first_bad_score_is_named():
    with pytest.raises(ValueError, match=r"^score: value 1\.5 at 2 "):
        ScoreTable.of([0.1, 0.2, 1.5, -1], [0, 1, 0, 1])


def test_both_ends_are_probabilities():
    assert checked_scores(np.float32([0, 1]), "score").dtype == np.float64


@pytest.mark.parametrize(
    "labelled", [[1], [0, 1, 1], [[0, 1]], [0, 2], [0, -1], [0, math.nan], [0, 0.5]], ids=str
)
def test_labels_are_0_or_1_one_per_row(labelled):
    with pytest.raises(ValueError, match=r"^labelled: expected"):
        ScoreTable.of([0.1, 0.2], labelled)


@pytest.mark.parametrize("kind", [bool, np.int8, np.float32, int])
def test_labels_of_any_type(kind):
    table = ScoreTable.of([0.1, 0.2, 0.2], np.array([1, 0, 1]).astype(kind))
    assert (table.p.tolist(), table.u.tolist()) == ([1, 1], [0, 1])
