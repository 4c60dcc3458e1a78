import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import threshold as reference

from priorwise.pu.threshold import NEED_C, ThresholdCurve, choose_threshold

RULES = ("percentile", "proxy_f1", "prior", "keep")
C = (0.6, 0.45)
#: few distinct scores, so that ties are common
SCORE = st.one_of(st.floats(0, 1, allow_subnormal=False), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
ROWS = st.lists(st.tuples(SCORE, st.booleans(), st.sampled_from(C)), min_size=1, max_size=40)


def labelled_once(rows):
    return any(s for _, s, _ in rows)


def columns(rows):
    """Score, s, 1/c as arrays."""
    score, s, c = (np.array(values) for values in zip(*rows, strict=True))
    return score, s.astype(int), 1 / c


def chosen(rule, rows, **options):
    score, s, weight = columns(rows)
    return choose_threshold(rule, score, s, weight=weight, **options)


@given(ROWS.filter(labelled_once))
def test_curve_is_that_of_the_reference(rows):
    curve = ThresholdCurve.of(*columns(rows))
    assert curve.threshold.tolist() == sorted({score for score, _, _ in rows})
    for i, t in enumerate(curve.threshold):
        found = [v[i] for v in (curve.recall, curve.share_kept, curve.precision, curve.proxy_f1)]
        np.testing.assert_allclose(found, reference.outcome(rows, t), atol=1e-12)


@given(ROWS.filter(labelled_once), st.floats(-0.1, 1.1))
def test_outcome_of_any_threshold_is_that_of_the_reference(rows, t):
    found = ThresholdCurve.of(*columns(rows)).at(t)
    values = (found.recall, found.share_kept, found.precision, found.proxy_f1)
    np.testing.assert_allclose(values, reference.outcome(rows, t), atol=1e-12)
    assert found.threshold == t


@given(ROWS.filter(labelled_once))
def test_recall_and_share_fall_from_one(rows):
    curve = ThresholdCurve.of(*columns(rows))
    for values in (curve.recall, curve.share_kept):
        assert values[0] == 1 and (np.diff(values) <= 0).all()
    assert (np.diff(curve.share_kept) < 0).all()  # every score is some row's


@pytest.mark.parametrize("rule", RULES)
@given(rows=ROWS.filter(labelled_once), p=st.floats(0, 100), keep=st.floats(0.1, 100))
def test_rules_are_those_of_the_reference(rule, rows, p, keep):
    found = chosen(rule, rows, percentile=p, keep=keep)
    assert found == pytest.approx(reference.choose(rule, rows, p, keep), abs=1e-12)


@pytest.mark.parametrize("rule", RULES)
@given(rows=ROWS.filter(labelled_once), seed=st.integers(0, 99))
def test_order_of_rows_does_not_matter(rule, rows, seed):
    mixed = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    assert chosen(rule, mixed) == chosen(rule, rows)


@pytest.mark.parametrize("rule", RULES)
@given(rows=ROWS.filter(labelled_once))
def test_a_table_read_twice_has_the_same_threshold(rule, rows):
    if rule == "percentile":  # interpolation knows how many rows there are
        return
    assert chosen(rule, rows + rows) == chosen(rule, rows)


@given(ROWS.filter(labelled_once), st.floats(0.1, 100))
def test_keep_reaches_its_recall_and_no_higher_threshold_does(rows, keep):
    curve = ThresholdCurve.of(*columns(rows))
    t = chosen("keep", rows, keep=keep)
    assert curve.at(t).recall >= keep / 100 - 1e-9
    higher = [score for score, _, _ in rows if score > t]
    assert all(curve.at(score).recall < keep / 100 for score in higher)


@given(ROWS.filter(labelled_once))
def test_prior_keeps_a_share_closest_to_pi(rows):
    score, s, weight = columns(rows)
    pi = min(1.0, (weight * s).sum() / len(rows))
    curve = ThresholdCurve.of(score, s, weight)
    gap = abs(curve.at(chosen("prior", rows)).share_kept - pi)
    assert gap <= np.abs(curve.share_kept - pi).min() + 1e-9


@given(ROWS.filter(labelled_once))
def test_no_threshold_has_a_higher_proxy_f1(rows):
    curve = ThresholdCurve.of(*columns(rows))
    assert curve.at(chosen("proxy_f1", rows)).proxy_f1 >= curve.proxy_f1.max() - 1e-9


def test_by_hand():
    """Labelled at .9, .8, .4; c = .5, so pi = 6/8; F1 = 2 found / (kept + 6)."""
    score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    s = [1, 1, 0, 0, 0, 1, 0, 0]
    rows = list(zip(score, s, [0.5] * 8, strict=True))
    assert chosen("percentile", rows, percentile=50) == 0.8
    assert chosen("percentile", rows, percentile=25) == pytest.approx(0.6)
    assert chosen("keep", rows, keep=90) == 0.4
    assert chosen("keep", rows, keep=66) == 0.8
    assert chosen("prior", rows) == 0.4  # 6 of 8 rows
    assert chosen("proxy_f1", rows) == 0.8  # 8 / 8, as at .4
    at = ThresholdCurve.of(score, s, [2.0] * 8).at(0.4)
    assert (at.recall, at.share_kept, at.precision, at.proxy_f1) == (1.0, 0.75, 1.0, 1.0)


def test_a_row_at_the_threshold_is_kept():
    curve = ThresholdCurve.of([0.2, 0.5, 0.8], [0, 1, 1])
    assert curve.at(0.5).recall == 1 and curve.at(np.nextafter(0.5, 1)).recall == 0.5


def test_nothing_is_kept_above_the_highest_score():
    above = ThresholdCurve.of([0.2, 0.5], [0, 1], [2.0, 2.0]).at(0.6)
    assert (above.recall, above.share_kept, above.proxy_f1) == (0, 0, 0)
    assert np.isnan(above.precision)


def test_the_two_polarities_count_with_their_own_c():
    """Half of the labelled rows stand for 2 positives each, half for 4: pi = 12/16."""
    score, s = np.linspace(1, 0, 16), np.repeat([1, 0], [4, 12])
    weight = np.tile([2.0, 4.0], 8)
    curve = ThresholdCurve.of(score, s, weight)
    assert curve.at(score[3]).proxy_f1 == pytest.approx(2 * 12 / (4 + 12))
    t = choose_threshold("prior", score, s, weight=weight)
    assert curve.at(t).share_kept == pytest.approx(12 / 16)


@pytest.mark.parametrize("rule", RULES)
def test_equal_scores_keep_every_row(rule):
    t = choose_threshold(rule, [0.3] * 6, [1, 0, 0, 1, 0, 0], weight=[2.0] * 6)
    assert t == 0.3
    assert ThresholdCurve.of([0.3] * 6, [1, 0, 0, 1, 0, 0]).at(t).share_kept == 1


@pytest.mark.parametrize("rule", ["percentile", "keep"])
def test_one_labelled_row_is_kept(rule):
    assert choose_threshold(rule, [0.1, 0.7, 0.9], [0, 1, 0]) == 0.7


def test_of_two_equally_good_thresholds_the_higher_is_taken():
    """pi = 3/.6/6 = 5/6: keeping 4 of 6 rows is as far from it as keeping all."""
    rows = [(score, i % 2 == 0, 0.6) for i, score in enumerate([0.0, 0.0, 1.0, 1.0, 1.0, 1.0])]
    assert chosen("prior", rows) == 1.0


def test_pi_above_one_keeps_everything():
    assert choose_threshold("prior", [0.1, 0.2, 0.9], [1, 1, 0], weight=[2.0] * 3) == 0.1


def test_without_c_there_is_recall_but_no_precision():
    curve = ThresholdCurve.of([0.1, 0.9], [0, 1])
    assert np.isnan(curve.precision).all() and np.isnan(curve.proxy_f1).all()
    assert curve.recall.tolist() == [1, 1]
    assert np.isnan(curve.at(0.95).proxy_f1)


def test_thinned_curve_keeps_both_ends():
    score = np.linspace(0, 1, 5001)
    curve = ThresholdCurve.of(score, np.arange(5001) % 3 == 0)
    thin = curve.thinned(2000)
    assert thin.threshold.size == 2000
    assert (thin.threshold[0], thin.threshold[-1]) == (0, 1)
    assert np.isin(thin.recall, curve.recall).all()
    assert curve.thinned(5001) is curve


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"score": [0.1, np.nan]}, "score"),
        ({"score": [0.1, 1.5]}, "score"),
        ({"score": [], "labelled": []}, "score"),
        ({"labelled": [0, 0]}, "labelled"),
        ({"labelled": [0, 2]}, "labelled"),
        ({"labelled": [1]}, "labelled"),
        ({"rule": "best"}, "rule"),
        ({"percentile": 101}, "percentile"),
        ({"percentile": np.nan}, "percentile"),
        ({"rule": "keep", "keep": 0}, "keep"),
        ({"rule": "keep", "keep": np.nan}, "keep"),
        ({"rule": "prior", "weight": [0.5, 2.0]}, "weight"),
        ({"rule": "prior", "weight": [np.inf, 2.0]}, "weight"),
        ({"rule": "proxy_f1", "weight": [2.0]}, "weight"),
    ],
)
def test_bad_arguments_are_named(change, name):
    given_ = {"rule": "percentile", "score": [0.1, 0.2], "labelled": [0, 1]} | change
    with pytest.raises(ValueError, match=f"^{name}:"):
        choose_threshold(**given_)


@pytest.mark.parametrize("rule", NEED_C)
def test_rules_that_need_c_say_so(rule):
    with pytest.raises(ValueError, match="needs the label frequency c"):
        choose_threshold(rule, [0.1, 0.2], [0, 1])
