import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import calibration, elkan_noto

from priorwise.pu.calibration import CALIBRATIONS, undo_pos_weight
from priorwise.pu.elkan_noto import e1, e2, e3
from priorwise.pu.priors import (
    AVERAGES,
    CALIBRATED,
    ESTIMATORS,
    MIXTURES,
    VARIANCE_ONLY,
    Estimate,
    c_of_alpha,
    estimate_priors,
    label_frequencies,
)
from priorwise.pu.rates import alpha_of, check_prior, class_prior
from priorwise.pu.score_table import ScoreTable

#: the guide's pi and c
MODES = {"positive": (0.4534, 0.5889), "negative": (0.2853, 0.4486)}
#: facts/pu-learning.md, section 7: error of pi by e1 with perfect scores, at each AUC
BIAS_OF_E1 = {
    0.90: (0.176, 0.179),
    0.93: (0.137, 0.135),
    0.95: (0.109, 0.105),
    0.97: (0.078, 0.074),
    0.98: (0.061, 0.057),
}
SECTION_7 = [
    (auc, *MODES[mode], bias)
    for auc, both in BIAS_OF_E1.items()
    for mode, bias in zip(MODES, both, strict=True)
]
both_kinds = st.builds(
    lambda p, u: [(g, 1) for g in p] + [(g, 0) for g in u],
    st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=20),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=20),
)
few = settings(max_examples=40, deadline=None)


def of(batch):
    return ScoreTable.of([g for g, _ in batch], [s for _, s in batch])


def gaussian(n=3000, auc=0.95, seed=1, mode="positive"):
    g, s, _ = elkan_noto.gaussian_table(n, auc, *MODES[mode], seed)
    return g, s


# --- Elkan & Noto -----------------------------------------------------------------------------


def test_averages_by_hand():
    table = ScoreTable.of([0.5, 0.25, 0.75, 0.5, 0.0], [1, 1, 0, 0, 0])
    assert e1(table) == 0.375  # (1/2 + 1/4) / 2
    assert e2(table) == 0.375  # (3/4) / 2
    assert e3(table) == 0.75
    assert e2(ScoreTable.of([0.5, 0.25, 0.25], [1, 0, 0])) == 0.5


@given(both_kinds.filter(lambda batch: sum(g for g, _ in batch) > 1e-9))
def test_averages_agree_with_sums_over_rows(batch):
    g, s = zip(*batch, strict=True)
    labelled = [score for score, is_labelled in batch if is_labelled]
    assert e1(of(batch)) == pytest.approx(elkan_noto.e1(labelled), rel=1e-12, abs=1e-300)
    assert e2(of(batch)) == pytest.approx(elkan_noto.e2(g, s), rel=1e-12, abs=1e-300)
    assert e3(of(batch)) == elkan_noto.e3(g)


@given(both_kinds, st.integers(2, 5))
def test_duplicated_rows_leave_the_averages(batch, times):
    for average in AVERAGES.values():
        assert average(of(batch * times)) == pytest.approx(average(of(batch)), rel=1e-12)


def test_a_factor_on_the_scores_cancels_in_e2_alone():
    g, s = gaussian()
    whole, half = ScoreTable.of(g, s), ScoreTable.of(g / 2, s)
    assert e2(half) == pytest.approx(e2(whole))
    assert e1(half) == pytest.approx(e1(whole) / 2)
    assert e3(half) == pytest.approx(e3(whole) / 2)


@pytest.mark.parametrize("average", AVERAGES.values(), ids=AVERAGES)
def test_averages_need_a_labelled_row_and_no_unlabelled_one(average):
    assert average(ScoreTable.of([0.5, 0.5], [1, 1])) in (0.5, 1.0)  # e2: all weight is labelled
    with pytest.raises(ValueError, match=r"^scores: no labelled row \(s = 1\)[^\n]*$"):
        average(ScoreTable.of([0.5, 0.5], [0, 0]))


def test_scores_of_zero_give_zero():
    table = ScoreTable.of([0.0, 0.0], [1, 0])
    assert (e1(table), e2(table), e3(table)) == (0, 0, 0)


def test_disjoint_classes_and_a_perfect_g():
    """g = c for positives and 0 for negatives: every estimator finds c."""
    y = np.arange(40_000) < 12_000
    s = np.arange(40_000) < 5_400  # c = .45
    found = label_frequencies(ScoreTable.of(np.where(y, 0.45, 0.0), s))
    assert {name: found[name] for name in AVERAGES} == pytest.approx(dict.fromkeys(AVERAGES, 0.45))
    for name in (*MIXTURES, "median"):
        assert found[name] == pytest.approx(0.45, abs=0.005), name


# --- overlapping classes, perfect scores ------------------------------------------------------


@pytest.mark.parametrize(("auc", "pi", "c", "bias"), SECTION_7)
def test_e1_is_biased_and_the_median_is_not(auc, pi, c, bias):
    assert pi * c / elkan_noto.limit_of_e1(auc, pi, c) - pi == pytest.approx(bias, abs=1e-3)
    g, s, _ = elkan_noto.gaussian_table(20_000, auc, pi, c, seed=5)
    found = estimate_priors(ScoreTable.of(g, s), pi * c)
    assert found["e1"].pi - pi == pytest.approx(bias, abs=0.02)
    assert found["e2"].pi - pi == pytest.approx(bias, abs=0.02)
    assert found["median"].pi == pytest.approx(pi, abs=0.03)


def test_a_weight_spoils_averages_and_leaves_mixtures():
    g, s = gaussian()
    weight = (1 - s.mean()) / s.mean()
    raw, spoilt = ScoreTable.of(g, s), ScoreTable.of(weight * g / (weight * g + 1 - g), s)
    undone = spoilt.with_scores(undo_pos_weight(spoilt.score, weight))
    before, after, again = (label_frequencies(t) for t in (raw, spoilt, undone))
    for name in (*MIXTURES, "median"):
        assert after[name] == before[name]
    for name in AVERAGES:
        assert abs(after[name] - before[name]) > 0.02
        assert again[name] == pytest.approx(before[name])
    assert after["e1"] > before["e1"] + 0.1


# --- all estimators together ------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0.001, 0.999))
def test_c_of_alpha_is_the_inverse_of_alpha_of(alpha, s):
    c = c_of_alpha(alpha, s)
    assert s - 1e-12 <= c <= 1 + 1e-12
    assert alpha_of(s / c, s) == pytest.approx(alpha, abs=1e-9)


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 500))
def test_c_of_alpha_agrees_with_counting(labelled, hidden, negatives):
    s, c, _, alpha = elkan_noto.rates_from_counts(labelled, labelled + hidden, negatives)
    assert c_of_alpha(float(alpha), float(s)) == pytest.approx(float(c))


@given(both_kinds.filter(lambda batch: len({g for g, _ in batch}) > 1))
@few
def test_the_median_is_the_middle_of_the_mixtures(batch):
    table = of(batch)
    found = label_frequencies(table, ["median", *MIXTURES])
    assert found["median"] == sorted(found[name] for name in MIXTURES)[1]
    for name, estimator in MIXTURES.items():
        assert alpha_of(table.s / found[name], table.s) == pytest.approx(estimator(table), abs=1e-9)
    assert label_frequencies(table, ["median"])["median"] == found["median"]


@given(both_kinds.filter(lambda batch: len({g for g, _ in batch}) > 1), st.randoms())
@few
def test_ranges_and_order_of_rows(batch, random):
    shuffled = list(batch)
    random.shuffle(shuffled)
    table = of(batch)
    found = label_frequencies(table)
    assert found == label_frequencies(of(shuffled))
    assert all(0 <= c <= 1 for c in found.values())
    assert all(table.s - 1e-12 <= found[name] for name in (*MIXTURES, "median"))


def test_names():
    g, s = gaussian(300)
    table = ScoreTable.of(g, s)
    assert tuple(label_frequencies(table, validation=table)) == ESTIMATORS
    assert tuple(label_frequencies(table)) == ("e1", "e2", "e3", "bbe", "kde_em", "tice", "median")
    assert list(label_frequencies(table, ["tice", "e3"])) == ["tice", "e3"]
    assert set(VARIANCE_ONLY) == set(ESTIMATORS) - {"bbe", "kde_em", "tice", "median"}
    assert {"e1_temperature", "e2_platt", "e3_isotonic"} < set(CALIBRATED)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_calibrated_averages_are_averages_of_calibrated_scores(average, kind):
    (g, s), (v, t) = gaussian(300, seed=1), gaussian(400, seed=2)
    g, v = g**2, v**2  # distorted
    if kind == "temperature":
        calibrated = 1 / (1 + np.exp(-calibration.logit(g) / calibration.temperature(v, t)))
    elif kind == "platt":
        slope, offset = calibration.platt(v, t)
        calibrated = 1 / (1 + np.exp(-slope * calibration.logit(g) - offset))
    else:
        at = {x: float(rate) for x, rate in calibration.isotonic(v, t).items()}
        calibrated = np.interp(g, list(at), list(at.values()))
    expected = {
        "e1": elkan_noto.e1(calibrated[s]),
        "e2": elkan_noto.e2(calibrated, s),
        "e3": elkan_noto.e3(calibrated),
    }[average]
    name = f"{average}_{kind}"
    found = label_frequencies(ScoreTable.of(g, s), [name], validation=ScoreTable.of(v, t))
    assert found == {name: pytest.approx(expected, abs=5e-4)}


def test_calibrators_never_see_held_out_labels():
    """e3 of calibrated scores depends on the held-out scores and on the calibrator only."""
    (g, s), (v, t) = gaussian(500, seed=3), gaussian(500, seed=4)
    names = [name for name in CALIBRATED if name.startswith("e3")]
    other = np.random.default_rng(0).permutation(s)
    found, relabelled, refitted = (
        label_frequencies(ScoreTable.of(g, h), names, validation=ScoreTable.of(v, w))
        for h, w in ((s, t), (other, t), (s, np.random.default_rng(0).permutation(t)))
    )
    assert relabelled == found
    assert all(refitted[name] != found[name] for name in names)


def test_estimates_apply_c_to_the_s_of_the_training_table():
    g, s = gaussian(2000)
    table = ScoreTable.of(g, s)
    c = label_frequencies(table)
    for name, estimate in estimate_priors(table, 0.2).items():
        assert (estimate.c, estimate.s) == (c[name], 0.2)
        assert estimate.pi == pytest.approx(class_prior(0.2, estimate.c))
        assert estimate.alpha == pytest.approx((estimate.pi - 0.2) / 0.8)


def test_an_estimate_may_be_unfit():
    assert math.isnan(Estimate(0.0, 0.2).pi)
    assert math.isnan(Estimate(0.0, 0.2).alpha)
    unfit = Estimate(0.1, 0.2)  # c <= s
    assert unfit.pi == 2
    assert any("s must be below c" in reason for reason in check_prior(unfit.s, unfit.c, unfit.pi))


@pytest.mark.parametrize("s", [1.0, -0.1, 26.7, math.nan])
def test_s_of_the_training_table_is_a_fraction(s):
    with pytest.raises(ValueError, match=r"^s: expected a fraction"):
        estimate_priors(ScoreTable.of([0.1, 0.2], [0, 1]), s)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"names": ["e1", "e4"]}, "^estimator: 'e4' .expected one of e1, e2, "),
        ({"names": ["e1_platt"]}, "^validation: a calibrated estimator needs"),
        ({"held_out": ScoreTable.of([0.1, 0.2], [0, 0])}, "^scores: no labelled row"),
        ({"held_out": ScoreTable.of([0.1, 0.2], [1, 1])}, "^scores: no unlabelled row"),
        ({"names": ["e1"], "held_out": ScoreTable.of([0.1, 0.2], [1, 1])}, "^scores: no unlab"),
        ({"held_out": ScoreTable.of([0.2, 0.2], [1, 0])}, "^scores: all are 0.2"),
        ({"validation": ScoreTable.of([0.1, 0.2], [0, 0])}, "^scores: no labelled row"),
    ],
)
def test_refusals(arguments, says):
    with pytest.raises(ValueError, match=says) as caught:
        label_frequencies(**{"held_out": ScoreTable.of([0.1, 0.2], [0, 1])} | arguments)
    assert "\n" not in str(caught.value)
