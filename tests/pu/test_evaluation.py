import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import threshold as reference
from tests.reference.scar import wilson

from priorwise.pu.evaluation import Frequency, Kept, no_selection, precision

ROWS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def known(c):
    """A label frequency without an interval."""
    return Frequency(c, c, c)


@given(ROWS, st.floats(0, 1))
def test_counts_are_those_of_the_reference(rows, t):
    score, s = zip(*rows, strict=True)
    found = Kept.of(score, np.array(s).astype(int), t)
    assert tuple(vars(found).values()) == reference.cells_by_hand([(g >= t, x) for g, x in rows])
    assert found.share_kept.value == found.kept / len(rows)
    if any(s):
        kept = reference.outcome([(g, x, 0.5) for g, x in rows], t)
        assert found.recall.value == pytest.approx(kept[0])
        np.testing.assert_allclose(
            (found.recall.low, found.recall.high),
            wilson(found.labelled_kept, found.labelled),
            atol=1e-9,
        )
    else:
        assert math.isnan(found.recall.value)


@given(ROWS, ROWS, st.floats(0, 1))
def test_counts_add_up(first, second, t):
    def count(rows):
        score, s = zip(*rows, strict=True)
        return Kept.of(score, np.array(s).astype(int), t)

    assert count(first) + count(second) == count(first + second)


@pytest.mark.parametrize(
    ("score", "s", "name"), [([np.nan], [0], "score"), ([0.5], [2], "labelled"), ([], [], "score")]
)
def test_bad_rows_are_named(score, s, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        Kept.of(score, s, 0.5)


def test_precision_with_known_c_is_wilson_over_c():
    kept = Kept(rows=1000, labelled=200, kept=300, labelled_kept=120)
    found = precision([(kept, known(0.5))])
    low, high = wilson(120, 300)
    assert found.value == pytest.approx(120 / 300 / 0.5)
    assert (found.low, found.high) == (pytest.approx(low / 0.5), pytest.approx(high / 0.5))


def test_uncertain_c_widens_the_interval():
    kept = Kept(1000, 200, 300, 120)
    narrow, wide = precision([(kept, known(0.5))]), precision([(kept, Frequency(0.5, 0.45, 0.56))])
    assert wide.value == narrow.value
    assert wide.low < narrow.low and wide.high > narrow.high
    # on the scale of logarithms the squares add up
    down = math.hypot(math.log(narrow.value / narrow.low), math.log(0.56 / 0.5))
    assert wide.low == pytest.approx(wide.value * math.exp(-down))


def test_polarities_are_weighted_by_their_kept_rows():
    first, second = Kept(500, 100, 200, 80), Kept(500, 50, 100, 20)
    found = precision([(first, known(0.6)), (second, known(0.4))])
    rows = [(1.0, True, 0.6)] * 80 + [(1.0, False, 0.6)] * 120
    rows += [(1.0, True, 0.4)] * 20 + [(1.0, False, 0.4)] * 80
    assert found.value == pytest.approx(reference.outcome(rows, 0.5)[2])
    alone = [precision([(kept, known(c))]) for kept, c in ((first, 0.6), (second, 0.4))]
    down = math.hypot(*(w * (a.value - a.low) for w, a in zip((2 / 3, 1 / 3), alone, strict=True)))
    assert found.low == pytest.approx(found.value - down)


def test_precision_above_one_is_clipped_and_told():
    found = precision([(Kept(100, 60, 60, 50), known(0.5))])
    assert (found.value, found.high) == (1, 1) and found.unclipped == pytest.approx(5 / 3)


def test_one_polarity_cannot_make_up_for_another():
    """.5 in one and, by a c that is too low, 1.5 in the other: .75 together, not 1."""
    parts = [(Kept(100, 30, 40, 10), known(0.5)), (Kept(100, 40, 40, 30), known(0.5))]
    assert precision(parts).value == pytest.approx(0.75)
    assert precision(parts).unclipped == pytest.approx(1.0)


def test_no_kept_row_has_no_precision():
    found = precision([(Kept(100, 10, 0, 0), known(0.5))])
    assert all(math.isnan(v) for v in vars(found).values())
    half = precision([(Kept(100, 10, 0, 0), known(0.5)), (Kept(100, 10, 20, 8), known(0.5))])
    assert half.value == pytest.approx(0.8)


def test_no_labelled_row_among_the_kept_ones():
    found = precision([(Kept(100, 10, 20, 0), Frequency(0.5, 0.4, 0.6))])
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(wilson(0, 20)[1] / 0.4)


def test_intervals_of_precision_cover():
    """True precision .8 and c .55; c is estimated from 300 positives of its own."""
    rng, covered, runs = np.random.default_rng(0), 0, 1500
    for _ in range(runs):
        kept = 400
        labelled = int(rng.binomial(kept, 0.8 * 0.55))
        k = int(rng.binomial(300, 0.55))
        low, high = wilson(k, 300)
        found = precision([(Kept(1000, 250, kept, labelled), Frequency(k / 300, low, high))])
        covered += found.low <= 0.8 <= found.high
    assert 0.93 <= covered / runs <= 0.975


def test_no_selection():
    assert no_selection(0.4) == ""
    assert "nearly every one" in no_selection(0.951) and no_selection(0.95) == ""
    assert "nearly none" in no_selection(0.019) and no_selection(0.02) == ""
    assert no_selection(0.011, pi=0.02) == "" and "nearly none" in no_selection(0.009, pi=0.02)
    assert "nearly none" in no_selection(0.019, pi=0.4)
