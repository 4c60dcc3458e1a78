import json
import math
from dataclasses import replace

import pytest

from priorwise.pu.intervals import Interval, PriorIntervals
from priorwise.pu.priors import ESTIMATORS, VARIANCE_ONLY, Estimate
from priorwise.pu.record import ENOUGH_DATASETS, PriorRecord

S = 0.267
#: c of each estimator, so that pi is different for all
C = {name: 0.40 + 0.01 * i for i, name in enumerate(ESTIMATORS)}


def around(c, half):
    """Intervals whose ends follow from c within `half`."""
    low, high = c - half, c + half
    pi = Interval(S / high, S / low)
    alpha = Interval(*((end - S) / (1 - S) for end in pi))
    return PriorIntervals(Interval(low, high), Interval(S - 0.01, S + 0.01), pi, alpha)


def record(estimator="median", n_datasets=ENOUGH_DATASETS, half=0.02, **changes):
    known = {name: around(C[name], half) for name in {estimator, "e1", "median"}}
    wide = {name: around(C[name], 2 * half) for name in known}
    return replace(
        PriorRecord(
            estimator=estimator,
            estimates={name: Estimate(c, S) for name, c in C.items()},
            intervals={"row": known, "dataset": wide},
            n_datasets=n_datasets,
            polarity="negative",
            data_digest="d1",
            bce_run="r1",
            bce_checkpoint="sha",
            n_labelled=123,
            s_test=0.23,
        ),
        **changes,
    )


@pytest.mark.parametrize("estimator", ["e1", "median", "e1_isotonic", "bbe"])
def test_the_chosen_estimate(estimator):
    made = record(estimator)
    assert made.chosen == Estimate(C[estimator], S)
    values = made.metrics()
    assert values["c"] == C[estimator]
    assert values["s"] == S
    assert values["pi"] == pytest.approx(S / C[estimator])
    assert values["alpha"] == pytest.approx((S / C[estimator] - S) / (1 - S))


@pytest.mark.parametrize(
    ("n_datasets", "unit", "half"),
    [(1, "row", 0.02), (9, "row", 0.02), (10, "dataset", 0.04), (50, "dataset", 0.04)],
)
def test_from_ten_data_sets_on_they_are_the_unit(n_datasets, unit, half):
    made = record(n_datasets=n_datasets)
    assert made.unit == unit
    assert made.interval == around(C["median"], half)
    values = made.metrics()
    assert values["c.low"] == pytest.approx(C["median"] - half)
    assert values["c.high"] == pytest.approx(C["median"] + half)
    assert values["pi.low"] == pytest.approx(S / (C["median"] + half))
    assert (values["s.low"], values["s.high"]) == (S - 0.01, S + 0.01)
    assert made.interval_label.startswith(
        {"row": "95 % bootstrap of rows", "dataset": "95 % bootstrap of data sets"}[unit]
    )


def test_without_intervals_by_data_set_rows_are_the_unit():
    known = record().intervals
    assert record(intervals={"row": known["row"]}).unit == "row"
    partial = {"row": known["row"], "dataset": {"e1": known["dataset"]["e1"]}}
    assert record(intervals=partial).unit == "row"


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_averages_have_their_variance_only(estimator):
    """Elkan & Noto's averages are biased; the mixtures and their median carry no such label."""
    label = record(estimator).interval_label
    assert ("variance only" in label) == estimator.startswith(("e1", "e2", "e3"))
    assert ("variance only" in label) == (estimator in VARIANCE_ONLY)
    assert record(estimator).as_json()["interval_of"] == label


def test_every_estimator_is_a_metric():
    values = record().metrics()
    for name, c in C.items():
        assert values[f"c.{name}"] == c
        assert values[f"pi.{name}"] == pytest.approx(S / c)
        assert values[f"alpha.{name}"] == pytest.approx((S / c - S) / (1 - S))
    assert (values["s_test"], values["n_labelled"]) == (0.23, 123)


def test_every_interval_is_a_metric():
    values = record().metrics()
    for unit, half in (("row", 0.02), ("dataset", 0.04)):
        for name in ("e1", "median"):
            ends = around(C[name], half)
            for rate in ("c", "pi", "alpha"):
                low, high = getattr(ends, rate)
                assert values[f"{rate}.{name}.{unit}.low"] == low
                assert values[f"{rate}.{name}.{unit}.high"] == high


def test_metrics_are_finite():
    made = record(estimates={**record().estimates, "e3": Estimate(0.0, S)})
    values = made.metrics()
    assert values["c.e3"] == 0
    assert not {"pi.e3", "alpha.e3"} & set(values)
    assert all(math.isfinite(value) for value in values.values())


# --- disagreement -----------------------------------------------------------------------------


def with_e1(c, **changes):
    return record(estimates={**record().estimates, "e1": Estimate(c, S)}, **changes)


@pytest.mark.parametrize("side", [-1, 1], ids=["e1 above", "e1 below"])
def test_a_line_where_e1_leaves_the_interval_of_the_median(side):
    c = C["median"]
    assert with_e1(c + side * 0.039).disagreement() == ""  # interval by data set: +- .04 in c
    line = with_e1(c + side * 0.041).disagreement()
    for number in (S / (c + side * 0.041), S / c, S / (c + 0.04), S / (c - 0.04)):
        assert f"{number:.4f}" in line
    assert "negative" in line
    assert "\n" not in line


def test_the_interval_of_the_record_s_unit_is_compared():
    e1 = C["median"] - 0.03  # outside the interval by row, inside that by data set
    assert with_e1(e1, n_datasets=10).disagreement() == ""
    assert with_e1(e1, n_datasets=9).disagreement() != ""


@pytest.mark.parametrize("estimator", ["e1", "bbe"])
def test_the_median_is_what_e1_is_compared_with_whatever_is_chosen(estimator):
    made = record(estimator)
    line = replace(made, estimates={**made.estimates, "e1": Estimate(0.2, S)}).disagreement()
    assert f"{S / 0.2:.4f}" in line
    assert f"{S / C['median']:.4f}" in line


def test_no_line_without_both():
    made = with_e1(0.2)
    without = {name: e for name, e in made.estimates.items() if name != "median"}
    assert replace(made, estimator="e1", estimates=without).disagreement() == ""
    rows = {name: i for name, i in made.intervals["row"].items() if name != "median"}
    assert replace(made, estimator="e1", intervals={"row": rows}).disagreement() == ""


def test_json():
    made = record("e1")
    found = json.loads(json.dumps(made.as_json()))
    values = made.metrics()
    for name in ("c", "s", "pi", "alpha"):
        assert found[name] == values[name]
        assert found["intervals"][name] == [values[f"{name}.low"], values[f"{name}.high"]]
    assert set(found["estimates"]) == set(ESTIMATORS)
    assert found["estimates"]["bbe"]["pi"] == values["pi.bbe"]
    expected = {
        "estimator": "e1",
        "polarity": "negative",
        "data_digest": "d1",
        "bce_run": "r1",
        "bce_checkpoint": "sha",
        "n_labelled": 123,
        "n_datasets": ENOUGH_DATASETS,
        "s_test": 0.23,
    }
    assert {name: found[name] for name in expected} == expected
