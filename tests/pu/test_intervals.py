import math

import numpy as np
import pytest
from tests.reference import bootstrap, elkan_noto

from priorwise.pu import intervals, priors
from priorwise.pu.intervals import HeldOutRows, LabelCounts, bootstrap_priors
from priorwise.pu.priors import label_frequencies
from priorwise.pu.score_table import ScoreTable

TRAIN = LabelCounts.of([20_000], [5340])
PI, C = 0.4534, 0.5889


def draw(names, held_out, train=TRAIN, seed=0, **kwargs):
    return bootstrap_priors(names, held_out, train, rng=np.random.default_rng(seed), **kwargs)


def beta_rows(rng, n, s=0.5):
    """Labelled rows have scores with mean 5/9, unlabelled ones lower."""
    labelled = rng.random(n) < s
    return HeldOutRows(np.where(labelled, rng.beta(5, 4, n), rng.beta(2, 6, n)), labelled)


def gaussian_rows(n, seed, auc=0.95):
    g, s, _ = elkan_noto.gaussian_table(n, auc, PI, C, seed)
    return HeldOutRows(g, s)


def width(interval):
    return interval.high - interval.low


# --- by row -----------------------------------------------------------------------------------


def test_intervals_of_e1_agree_with_normal_theory():
    rows = beta_rows(np.random.default_rng(5), 4000)
    out = draw(["e1"], rows, resamples=3000)["e1"]
    labelled = rows.score[rows.labelled]
    c, s = labelled.mean(), 0.267
    half_c = 1.96 * labelled.std() / np.sqrt(labelled.size)
    half_s = 1.96 * np.sqrt(s * (1 - s) / 20_000)
    pi = s / c
    half_pi = pi * np.hypot(half_c / c, half_s / s)  # delta method
    alpha, half_alpha = (pi - s) / (1 - s), None
    for interval, value, half in (
        (out.c, c, half_c),
        (out.s, s, half_s),
        (out.pi, pi, half_pi),
        (out.alpha, alpha, half_alpha),
    ):
        assert interval.low < value < interval.high
        if half is not None:
            np.testing.assert_allclose(interval, [value - half, value + half], atol=0.1 * half)


def test_alpha_moves_with_pi_and_s_of_the_same_resample():
    """Without variance in c, alpha = s (1-c) / (c (1-s)) increases with s, and so do its ends."""
    rows = HeldOutRows([0.5] * 50 + [0.1] * 50, [1] * 50 + [0] * 50)
    out = draw(["e1"], rows, LabelCounts.of([1000], [200]))["e1"]
    assert out.c == (0.5, 0.5)
    assert width(out.s) == pytest.approx(2 * 1.96 * np.sqrt(0.2 * 0.8 / 1000), rel=0.2)
    for pi, alpha, s in zip(out.pi, out.alpha, out.s, strict=True):
        assert pi == pytest.approx(s / 0.5)
        assert alpha == pytest.approx(s / (1 - s), abs=1e-4)


def test_covers_at_the_nominal_level():
    """The true mean of c, over 200 draws of the held-out table."""
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(200):
        out = bootstrap_priors(["e1"], beta_rows(rng, 200), TRAIN, resamples=120, rng=rng)
        covered.append(out["e1"].c.low <= 5 / 9 <= out["e1"].c.high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_the_interval_of_the_median_holds_the_truth_and_that_of_e1_does_not():
    held = {"e1": 0, "median": 0}
    for seed in range(5):
        out = draw(["e1", "median"], gaussian_rows(2000, seed), resamples=40)
        for name, of in out.items():
            held[name] += of.pi.low <= PI <= of.pi.high
    assert held["e1"] == 0
    assert held["median"] >= 4


def test_same_seed_same_intervals_and_wider_level_wider():
    rows = beta_rows(np.random.default_rng(1), 160)
    assert draw(["e1"], rows) == draw(["e1"], rows)
    assert draw(["e1"], rows) != draw(["e1"], rows, seed=1)
    narrow, wide = (draw(["e1"], rows, level=level)["e1"] for level in (0.5, 0.99))
    assert wide.pi.low < narrow.pi.low < narrow.pi.high < wide.pi.high


def test_all_estimators_see_the_same_resamples():
    rows = gaussian_rows(400, 1)
    alone, together = (
        draw(["e2"], rows, resamples=30),
        draw(["e1", "e2", "tice"], rows, resamples=30),
    )
    assert list(together) == ["e1", "e2", "tice"]
    assert together["e2"] == alone["e2"]
    assert together["e1"].s == together["tice"].s


def test_whole_estimators_run_on_whole_tables(monkeypatch):
    """Each resample has as many rows as the table; s of the held-out rows varies with them."""
    seen = []
    monkeypatch.setattr(
        intervals,
        "label_frequencies",
        lambda table, names, validation: (
            seen.append(table) or label_frequencies(table, names, validation=validation)
        ),
    )
    draw(["e1"], gaussian_rows(300, 2), resamples=25)
    assert [table.n_p + table.n_u for table in seen] == [300] * 25
    assert len({table.n_p for table in seen}) > 10


def test_calibrators_are_fitted_anew_in_each_resample(monkeypatch):
    fitted = []
    fit = priors.fit_calibrator
    monkeypatch.setattr(
        priors, "fit_calibrator", lambda table, kind: fitted.append(table) or fit(table, kind)
    )
    test, validation = gaussian_rows(300, 3), gaussian_rows(250, 4)
    out = draw(["e1_isotonic"], test, validation=validation, resamples=30)["e1_isotonic"]
    assert [table.n_p + table.n_u for table in fitted] == [250] * 30
    assert len({(table.n_p, table.score.size) for table in fitted}) > 10
    whole = ScoreTable.of(validation.score, validation.labelled)
    held_out = ScoreTable.of(test.score, test.labelled)
    c = label_frequencies(held_out, ["e1_isotonic"], validation=whole)["e1_isotonic"]
    assert out.c.low < c < out.c.high


# --- by data set ------------------------------------------------------------------------------


def test_by_data_set_the_ends_are_those_of_all_draws():
    """Three data sets: 27 draws, and the interval reaches from the least to the largest."""
    scores = [[0.2], [0.4, 0.6], [0.9, 0.9, 0.9]]
    rows = HeldOutRows(
        [g for group in scores for g in group] + [0.05] * 3,
        [1] * 6 + [0] * 3,
        ["a", "b", "b", "c", "c", "c", "a", "b", "c"],
    )
    n, labelled = [100, 300, 50], [50, 60, 5]
    out = draw(
        ["e1"], rows, LabelCounts.of(n, labelled), unit="dataset", resamples=1000, level=0.99
    )["e1"]
    c, s = bootstrap.means_of_draws(scores), bootstrap.rates_of_draws(n, labelled)
    assert out.c == (pytest.approx(min(c)), pytest.approx(max(c)))
    assert out.s == (pytest.approx(float(min(s))), pytest.approx(float(max(s))))


def test_drawn_data_sets_are_pooled():
    """Half of the draws of two are both: the middle of the interval is that of all rows."""
    scores = [[0.25], [0.5, 0.75, 0.75]]
    rows = HeldOutRows([0.25, 0.5, 0.75, 0.75, 0.1, 0.1], [1] * 4 + [0] * 2, list("abbbab"))
    n, labelled = [100, 300], [50, 60]
    out = draw(["e1"], rows, LabelCounts.of(n, labelled), unit="dataset", level=0.1)["e1"]
    middle = float(np.median([float(s) for s in bootstrap.rates_of_draws(n, labelled)]))
    assert middle == 110 / 400
    assert out.s == (middle, middle)
    assert out.c == pytest.approx([np.median(bootstrap.means_of_draws(scores))] * 2)


def groups(rates, n, seed):
    """Rows of data sets with these label frequencies among equally many positives, and counts."""
    rng = np.random.default_rng(seed)
    dataset = np.repeat(np.arange(len(rates)), n)
    y = rng.random(dataset.size) < 0.5
    labelled = y & (rng.random(dataset.size) < np.asarray(rates)[dataset])
    score = np.clip(
        np.where(y, np.asarray(rates)[dataset], 0.1) + 0.05 * rng.normal(size=y.size), 0, 1
    )
    counts = [int(labelled[dataset == k].sum()) for k in range(len(rates))]
    return HeldOutRows(score, labelled, dataset), LabelCounts.of([n] * len(rates), counts)


def test_by_data_set_is_wider_where_label_rates_differ():
    rows, train = groups(np.linspace(0.2, 0.9, 20), 100, seed=1)
    by_row, by_dataset = (
        draw(["e1"], rows, train, unit=unit, resamples=300)["e1"] for unit in ("row", "dataset")
    )
    assert width(by_dataset.s) > 1.6 * width(by_row.s)
    assert width(by_dataset.c) > 2 * width(by_row.c)


def test_both_units_agree_where_data_sets_are_alike():
    rows, train = groups([0.5] * 60, 50, seed=2)
    by_row, by_dataset = (
        draw(["e1"], rows, train, unit=unit, resamples=600)["e1"] for unit in ("row", "dataset")
    )
    for name in ("c", "s", "pi", "alpha"):
        ratio = width(getattr(by_dataset, name)) / width(getattr(by_row, name))
        assert 0.7 < ratio < 1.4, name


# --- refusals ---------------------------------------------------------------------------------

GOOD = HeldOutRows([0.1, 0.5, 0.6, 0.7] * 5, [0, 0, 1, 1] * 5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"resamples": 1}, "^resamples: expected at least 2"),
        ({"level": 95}, "^level: expected a coverage"),
        ({"level": 1.0}, "^level: expected a coverage"),
        ({"names": ["e1", "e9"]}, "^estimator: 'e9'"),
        ({"names": ["e1_platt"]}, "^validation: a calibrated estimator needs"),
        ({"held_out": HeldOutRows([], [])}, "^score: expected one or more"),
        ({"held_out": HeldOutRows([0.5, math.nan], [0, 1])}, "^score: value nan at 1"),
        ({"held_out": HeldOutRows([-2.0, 3.0], [0, 1])}, "^score: value -2.0 at 0"),
        ({"held_out": HeldOutRows([0.1, 0.2], [1])}, "^labelled: expected the shape"),
        ({"held_out": HeldOutRows([0.1, 0.2], [0, 1], ["a"])}, "^dataset: expected one name"),
        ({"held_out": HeldOutRows([0.1, 0.2], [1, 1])}, "^e1: only 0 of 50 resamples"),
        ({"held_out": HeldOutRows([0.1, 0.2], [0, 0])}, "^e1: only 0 of 50 resamples"),
        ({"held_out": HeldOutRows([0.0, 0.2] * 9, [1, 0] * 9)}, "^e1: only 0 of 50 resamples"),
        ({"unit": "dataset"}, "^held_out: 1 data set "),
        (
            {"unit": "dataset", "held_out": HeldOutRows([0.1] * 4, [0, 1] * 2, list("aabb"))},
            "^train: 1",
        ),
    ],
)
def test_refusals(change, says):
    arguments = {"names": ["e1"], "held_out": GOOD, "resamples": 50} | change
    with pytest.raises(ValueError, match=says) as caught:
        draw(**arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "labelled"), [([10], [0]), ([10], [10]), ([], []), ([5, 5], [5, 5])]
)
def test_train_needs_labelled_and_unlabelled_rows(rows, labelled):
    with pytest.raises(ValueError, match=r"^train: expected labelled and unlabelled rows"):
        LabelCounts.of(rows, labelled)


def test_resamples_without_a_labelled_row_are_left_out():
    """A third of them misses the only one; it has the same score in all the others."""
    rows = HeldOutRows([0.25] * 19 + [0.5], [0] * 19 + [1])
    assert draw(["e1"], rows)["e1"].c == (0.5, 0.5)


def test_docstring_says_what_the_interval_does_not_show():
    assert "variance only" in intervals.__doc__
