import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from tests.reference import calibration, elkan_noto

from priorwise.pu.calibration import CALIBRATIONS, fit_calibrator, reliability, undo_pos_weight
from priorwise.pu.score_table import ScoreTable

each = pytest.mark.parametrize("kind", CALIBRATIONS)
scores = st.sampled_from([0.0, 1e-12, 0.25, 0.5, 1.0]) | st.floats(0, 1)
rows = st.builds(
    lambda p, u: [(g, 1) for g in p] + [(g, 0) for g in u],
    st.lists(scores, min_size=1, max_size=15),
    st.lists(scores, min_size=1, max_size=15),
)
few = settings(max_examples=50, deadline=None)
GRID = np.linspace(0.01, 0.99, 25)


def of(batch):
    return ScoreTable.of([g for g, _ in batch], [s for _, s in batch])


def distorted(n, temperature, shift, seed):
    """Scores whose logit is (logit of P(s=1)) / temperature + shift, and s."""
    rng = np.random.default_rng(seed)
    truth = 1 / (1 + np.exp(-rng.normal(-0.5, 1.5, n)))
    logit = np.log(truth / (1 - truth)) / temperature + shift
    return 1 / (1 + np.exp(-logit)), rng.random(n) < truth, truth


# --- undoing a weight -------------------------------------------------------------------------


@pytest.mark.parametrize(("c", "s", "distorted"), [(0.5889, 0.267, 0.797), (0.4486, 0.128, 0.847)])
def test_undoes_the_weight_of_the_facts(c, s, distorted):
    """facts/pu-learning.md, section 2.1: what w = (1-s)/s does to g = c."""
    weight = (1 - s) / s
    spoilt = weight * c / (1 - c + weight * c)
    assert spoilt == pytest.approx(distorted, abs=5e-4)
    assert undo_pos_weight(np.array([spoilt]), weight) == pytest.approx([c])


@given(st.integers(0, 50), st.integers(0, 50), st.fractions(0.01, 100))
def test_undoes_what_a_weight_does_to_counts(labelled, unlabelled, weight):
    if labelled + unlabelled == 0:
        return
    spoilt, truth = calibration.weighted_rate(labelled, unlabelled, weight)
    found = undo_pos_weight(np.array([float(spoilt)]), float(weight))
    assert found == pytest.approx([float(truth)], abs=1e-9)


def test_undoes_the_optimum_of_a_weighted_classifier():
    """Logistic regressions that can learn any rate of four groups, and one that is linear."""
    rng = np.random.default_rng(1)
    n = 40_000
    s_of_group, group = np.array([0.05, 0.2, 0.5, 0.7]), rng.integers(4, size=n)
    free = np.eye(4)[group]
    s = rng.random(n) < s_of_group[group]
    for weight in (0.3, 2.745, 6.8):
        plain, weighted = (calibration.weighted_logistic(free, s, w) for w in (1, weight))
        assert np.abs(weighted - plain).max() > 0.1
        np.testing.assert_allclose(undo_pos_weight(weighted, weight), plain, atol=1e-9)

    x = np.stack([np.ones(n), rng.normal(size=n)], axis=1)
    s = rng.random(n) < 1 / (1 + np.exp(-x @ [-1.5, 1.0]))
    plain, weighted = (calibration.weighted_logistic(x, s, w) for w in (1, 4))
    assert np.abs(weighted - plain).mean() > 0.2
    assert np.abs(undo_pos_weight(weighted, 4) - plain).mean() < 0.01


@pytest.mark.parametrize("weight", [0.1, 1.0, 7.0])
def test_undoing_keeps_order_and_both_ends(weight):
    found = undo_pos_weight(np.linspace(0, 1, 50), weight)
    assert (found[0], found[-1]) == (0, 1)
    assert (np.diff(found) > 0).all()


def test_a_weight_of_one_changes_nothing():
    np.testing.assert_array_equal(undo_pos_weight(GRID, 1), GRID)


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf])
def test_bad_weights_are_refused(weight):
    with pytest.raises(ValueError, match=r"^pos_weight: expected a finite number above 0"):
        undo_pos_weight(GRID, weight)


# --- calibrators ------------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "shift"), [(0.5, 0), (1, 0), (3, 0), (0.5, 1), (2, -1)])
def test_parametric_calibrators_agree_with_the_references(temperature, shift):
    g, s, _ = distorted(600, temperature, shift, seed=2)
    table, f = ScoreTable.of(g, s), calibration.logit(GRID)
    t = calibration.temperature(g, s)
    expected = 1 / (1 + np.exp(-f / t))
    np.testing.assert_allclose(fit_calibrator(table, "temperature")(GRID), expected, atol=2e-4)
    slope, offset = calibration.platt(g, s)
    expected = 1 / (1 + np.exp(-slope * f - offset))
    np.testing.assert_allclose(fit_calibrator(table, "platt")(GRID), expected, atol=5e-4)


def test_isotonic_by_hand():
    """.2 and .3 violate the order (1 of 1, 0 of 1): both become 1/2; between knots, a line."""
    table = ScoreTable.of([0.1, 0.2, 0.3, 0.4, 0.4], [0, 1, 0, 1, 1])
    calibrated = fit_calibrator(table, "isotonic")(np.array([0, 0.1, 0.2, 0.3, 0.35, 0.4, 1]))
    assert calibrated == pytest.approx([0, 0, 0.5, 0.5, 0.75, 1, 1])


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=40))
def test_isotonic_pools_adjacent_violators(batch):
    g, s = [k / 20 for k, _ in batch], [label for _, label in batch]
    if all(s) or not any(s):
        return
    expected = calibration.isotonic(g, s)
    found = fit_calibrator(ScoreTable.of(g, s), "isotonic")(np.array(list(expected)))
    assert found == pytest.approx([float(rate) for rate in expected.values()], abs=1e-9)


def test_calibrators_find_the_truth():
    """Temperature where only the temperature is wrong; Platt and isotonic also with a shift."""
    g, s, truth = distorted(60_000, 0.4, 0, seed=3)
    for kind in CALIBRATIONS:
        assert np.abs(g - truth).mean() > 0.08
        assert np.abs(fit_calibrator(ScoreTable.of(g, s), kind)(g) - truth).mean() < 0.015, kind
    g, s, truth = distorted(60_000, 2, 1, seed=3)
    for kind in ("platt", "isotonic"):
        assert np.abs(fit_calibrator(ScoreTable.of(g, s), kind)(g) - truth).mean() < 0.015, kind
    only_t = fit_calibrator(ScoreTable.of(g, s), "temperature")(g)
    assert np.abs(only_t - truth).mean() > 0.05


@each
def test_no_worse_on_the_rows_that_it_is_fitted_on(kind):
    g, s, _ = elkan_noto.gaussian_table(1000, 0.9, 0.45, 0.59, seed=6)
    calibrated = fit_calibrator(ScoreTable.of(g**3, s), kind)(g**3)
    assert calibration.cross_entropy(calibrated, s) < log_loss(s, g**3)


@given(rows, st.randoms(use_true_random=False), st.sampled_from(CALIBRATIONS))
@few
def test_order_of_rows_probabilities_and_monotony(batch, random, kind):
    shuffled = list(batch)
    random.shuffle(shuffled)
    at = np.array([0.0, 1e-9, 0.2, 0.5, 0.8, 1 - 1e-9, 1.0])
    found = fit_calibrator(of(batch), kind)(at)
    np.testing.assert_array_equal(fit_calibrator(of(shuffled), kind)(at), found)
    assert ((found >= 0) & (found <= 1)).all()
    steps = np.diff(found)
    assert (steps >= -1e-12).all() or (kind == "platt" and (steps <= 1e-12).all())


@each
def test_duplicated_rows_change_nothing(kind):
    g, s, _ = distorted(200, 2, 0.5, seed=4)
    once = fit_calibrator(ScoreTable.of(g, s), kind)(GRID)
    often = fit_calibrator(ScoreTable.of(np.tile(g, 3), np.tile(s, 3)), kind)(GRID)
    np.testing.assert_allclose(often, once, atol=1e-6)


@each
@pytest.mark.parametrize(("s", "says"), [([0, 0], "labelled"), ([1, 1], "unlabelled")])
def test_both_kinds_are_needed(kind, s, says):
    with pytest.raises(ValueError, match=f"^scores: no {says} row"):
        fit_calibrator(ScoreTable.of([0.1, 0.9], s), kind)


# --- reliability ------------------------------------------------------------------------------


def test_reliability_by_hand():
    """Two bins of two rows: means .2 and .8, labelled 0 and 1/2."""
    found = reliability(ScoreTable.of([0.1, 0.3, 0.7, 0.9], [0, 0, 1, 0]), bins=2)
    assert found.mean_score == pytest.approx([0.2, 0.8])
    assert found.labelled_rate.tolist() == [0, 0.5]
    assert found.rows.tolist() == [2, 2]
    assert found.ece == pytest.approx((2 * 0.2 + 2 * 0.3) / 4)


@given(rows, st.sampled_from([1, 2, 4, 8, 16]))
@few
def test_ece_agrees_with_going_through_the_rows(batch, bins):
    g, s = zip(*batch, strict=True)
    found = reliability(of(batch), bins)
    assert found.ece == pytest.approx(calibration.ece(g, s, bins), abs=1e-12)
    assert found.rows.sum() == len(batch)
    assert len(found.rows) <= bins


def test_calibrated_scores_have_a_small_error():
    g, s, truth = distorted(30_000, 0.4, 0, seed=5)
    assert reliability(ScoreTable.of(truth, s)).ece < 0.02
    assert reliability(ScoreTable.of(g, s)).ece > 0.08
    calibrated = fit_calibrator(ScoreTable.of(g, s), "temperature")(g)
    assert reliability(ScoreTable.of(calibrated, s)).ece < 0.02


def test_constant_scores_are_one_bin():
    found = reliability(ScoreTable.of([0.3] * 10, [1] * 4 + [0] * 6))
    assert found.rows.tolist() == [10]
    assert found.ece == pytest.approx(0.1)
