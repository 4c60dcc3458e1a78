"""Drift of c and s: which earlier run is compared, and what is said of it."""

import math
from dataclasses import replace

import pytest

from priorwise.phases.drift import CurrentRates, drift
from priorwise.pu.intervals import Interval
from priorwise.tracking.search import RunFacts

NOW, BEFORE = "d" * 32, "e" * 32
#: standard error .01 of c; s = .25 +- .0125
CURRENT = CurrentRates("median", 0.60, Interval(0.5804, 0.6196), "row", 1200, 300)


def run(run_id="a" * 32, start=1000, *, params=None, metrics=None, tags=None, **changes):
    facts = RunFacts(
        run_id=run_id,
        name="estimate_prior positive",
        experiment_id="0",
        status="FINISHED",
        deleted=False,
        start_time=start,
        tags={"complete": "true"} if tags is None else tags,
        params={
            "contract.phase": "estimate_prior",
            "contract.polarity": "positive",
            "contract.data.digest": BEFORE,
            "cfg.estimator": "median",
            **(params or {}),
        },
        metrics={
            "c": 0.55,
            "c.low": 0.5304,
            "c.high": 0.5696,
            "c.median": 0.55,
            "c.median.row.low": 0.5304,
            "c.median.row.high": 0.5696,
            "c.e1": 0.48,
            "s": 0.24,
            "s.low": 0.2204,
            "s.high": 0.2596,
            **(metrics or {}),
        },
    )
    return replace(facts, **changes)


def compared(*runs, current=CURRENT):
    return drift(current, runs, "positive", NOW)


def test_by_hand():
    found = compared(run())
    assert (found.run_id, found.c, found.s) == ("a" * 32, (0.55, 0.60), (0.24, 0.25))
    # standard errors: c .01 and .01; s sqrt(.25 * .75 / 1200) = .0125 and .01
    assert found.c_z == pytest.approx(0.05 / (0.01 * math.sqrt(2)))
    assert found.s_z == pytest.approx(0.01 / math.hypot(0.0125, 0.01))
    assert found.metrics() == pytest.approx(
        {"drift.c": 0.05, "drift.s": 0.01, "drift.c.z": found.c_z, "drift.s.z": found.s_z}
    )
    said = found.warning()
    assert said.count("\n") == 0 and "c was 0.5500 and is 0.6000 (z +3.5)" in said
    assert "a" * 32 in said and "s was" not in said


def test_both_are_named_and_a_fall_has_a_sign():
    found = compared(run(metrics={"c.median": 0.70, "s": 0.40}))
    assert found.metrics()["drift.c"] == pytest.approx(-0.10) and found.c_z < -3
    assert "c was 0.7000 and is 0.6000" in found.warning()
    assert "s was 0.4000 and is 0.2500" in found.warning()


def test_small_changes_are_not_worth_a_line():
    found = compared(run(metrics={"c.median": 0.59}))
    assert found.warning() == "" and "drift.c.z" in found.metrics()


UNFIT = {
    "same data": {"params": {"contract.data.digest": NOW}},
    "other polarity": {"params": {"contract.polarity": "negative"}},
    "another phase": {"params": {"contract.phase": "bce_pretrain"}},
    "incomplete": {"tags": {}},
    "failed": {"status": "FAILED"},
    "running": {"status": "RUNNING"},
    "deleted": {"deleted": True},
    "without this estimator": {"metrics": {"c.median": math.nan}},
    "s not finite": {"metrics": {"s": math.nan}},
}


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT.keys())
def test_unfit_runs_are_passed_over(change):
    assert compared(run(**change)) is None
    older = run("b" * 32, start=1)
    assert compared(run(**change), older).run_id == "b" * 32


def test_no_runs():
    assert compared() is None
    nothing = replace(run(), metrics={}, params={})
    assert compared(nothing) is None


def test_the_newest_in_any_order():
    runs = [run("b" * 32, start=5), run("c" * 32, start=9), run("d" * 32, start=7)]
    assert compared(*runs).run_id == compared(*reversed(runs)).run_id == "c" * 32


INTERVALS = {
    # what the earlier run logged besides c.median -> its standard error of c
    "the same unit": ({"c.median.dataset.low": 0.4, "c.median.dataset.high": 0.7}, "row", 0.01),
    "by data set": (
        {"c.median.dataset.low": 0.5108, "c.median.dataset.high": 0.5892},
        "dataset",
        0.02,
    ),
    "another unit": ({}, "dataset", 0.01),
}


@pytest.mark.parametrize(("metrics", "unit", "error"), INTERVALS.values(), ids=INTERVALS.keys())
def test_interval_of_the_earlier_run(metrics, unit, error):
    found = compared(run(metrics=metrics), current=replace(CURRENT, unit=unit))
    assert found.c_z == pytest.approx(0.05 / math.hypot(0.01, error))


def test_another_estimator_is_compared_with_itself():
    """The earlier run logged no interval of e1, so this run's stands for both."""
    found = compared(run(), current=replace(CURRENT, estimator="e1"))
    assert found.c == (0.48, 0.60)
    assert found.c_z == pytest.approx(0.12 / (0.01 * math.sqrt(2)))


def test_the_record_s_own_interval_serves_its_estimator():
    metrics = {"c.median.row.low": math.nan, "c.median.row.high": math.nan, "c.low": 0.5108}
    found = compared(run(metrics={**metrics, "c.high": 0.5892}))
    assert found.c_z == pytest.approx(0.05 / math.hypot(0.01, 0.02))


def test_unknown_error_of_s_gives_no_z():
    found = compared(run(metrics={"s.low": math.nan}))
    assert math.isnan(found.s_z) and "drift.s.z" not in found.metrics()
    assert found.metrics()["drift.s"] == pytest.approx(0.01)
