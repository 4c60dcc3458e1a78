"""Can this prior be trusted? Figures, the SCAR check and the drift of a prior run."""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from priorwise.phases.desk import Plan, say
from priorwise.phases.drift import CurrentRates, drift
from priorwise.plots.calibration import reliability_curves
from priorwise.plots.label_frequency import label_frequencies
from priorwise.plots.priors import bbe_curve, estimators_compared
from priorwise.plots.scores import score_histogram
from priorwise.plots.sensitivity import prior_sensitivity
from priorwise.pu.calibration import CALIBRATIONS, fit_calibrator, reliability
from priorwise.pu.mixture import top_bins
from priorwise.pu.rates import alpha_of
from priorwise.pu.record import PriorRecord
from priorwise.pu.scar import scar_check
from priorwise.pu.scar_result import ScarCheck
from priorwise.pu.score_table import ScoreTable
from priorwise.pu.selection import pu_auc
from priorwise.pu.sensitivity import prior_grid, thresholds_by_prior
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import History

#: PU-AUC below which the SCAR check raises false alarms (benchmarks/scar.py)
SHARP = 0.93


def diagnose(
    record: PriorRecord, test: pd.DataFrame, validation: pd.DataFrame, track: RunTrack
) -> None:
    """Put the figures and the SCAR check on the run.

    Parameters
    ----------
    record : PriorRecord
    test, validation : pandas.DataFrame
        Columns probability, label; `test` also dataset_id.
    track : RunTrack
    """
    held_out = ScoreTable.of(test["probability"], test["label"])
    ranking = ranking_of(held_out, record.estimates["median"].c)
    track.metrics({"pu_auc": ranking} if ranking < 1 else {})
    check = scar_check(test["probability"], test["label"], test["dataset_id"])
    report_scar(check, ranking, track)
    fitted_on = ScoreTable.of(validation["probability"], validation["label"])
    curves = {"raw": reliability(held_out)}
    for kind in CALIBRATIONS:
        calibrated = held_out.with_scores(fit_calibrator(fitted_on, kind)(held_out.score))
        curves[kind] = reliability(calibrated)
    track.metrics({f"ece.{name}": curve.ece for name, curve in curves.items()})
    # what is drawn here holds for Test Set 1, whose s is not that of the training table
    mode = f"{record.polarity} mode, Test Set 1 (s = {record.s_test:.3f})"
    for name, figure in figures(record, test, held_out, mode):
        track.figure(figure, name)
    track.figure(reliability_curves(curves, f"Calibration, {mode}"), "reliability")
    track.figure(label_frequencies(check, f"c by data set, {mode}"), "c_by_dataset")


def figures(
    record: PriorRecord, test: pd.DataFrame, held_out: ScoreTable, mode: str
) -> Iterator[tuple[str, Figure]]:
    """Name and figure of what the scores say of the prior."""
    prior = record.chosen
    pi_test = min(record.s_test / prior.c, 1.0) if prior.c > 0 else None
    yield "score_histogram", score_histogram(test, f"Scores, {mode}", prior.c, pi_test)
    bins = top_bins(held_out)
    yield (
        "bbe_curve",
        bbe_curve(bins.share_of_p, bins.ratio, bins.upper, bins.chosen, f"BBE, {mode}"),
    )
    yield (
        "estimators",
        estimators_compared(
            {name: estimate.pi for name, estimate in record.estimates.items()},
            record.estimator,
            record.interval.pi,
            prior.s,
            f"pi of the training table (s = {prior.s:.3f}), {record.polarity} mode",
            interval_label=record.interval_label,
        ),
    )
    # r and q are those of Test Set 1, so pi has to be, too
    low, high = (record.s_test / c if c > 0 else 1.0 for c in reversed(record.interval.c))
    if pi_test is not None and low < 1:
        outcome = thresholds_by_prior(test["probability"], test["label"], prior_grid(low, high))
        yield (
            "sensitivity",
            prior_sensitivity(
                pd.DataFrame(asdict(outcome)),
                pi_test,
                f"If pi were another value of its interval, {mode}",
                kept_label="threshold",
            ),
        )


def ranking_of(held_out: ScoreTable, c: float) -> float:
    """Area under the ROC curve against y, from s and the positive share of the unlabelled rows.

    1 says only that c cannot be true: with so many positives among the unlabelled rows, labelled
    ones could not rank so far above them.
    """
    s = np.repeat([1, 0], held_out.score.size)
    rows = np.concatenate([held_out.p, held_out.u])
    area = roc_auc_score(s, np.tile(held_out.score, 2), sample_weight=rows)
    pi = min(held_out.s / c, 1.0) if c > 0 else 1.0
    return pu_auc(float(area), min(alpha_of(pi, held_out.s), 0.999))


def report_scar(check: ScarCheck, ranking: float, track: RunTrack) -> None:
    """Log the check, and warn if one c does not describe all data sets."""
    track.metrics(check.metrics())
    line = check.line()
    if check.violated and not SHARP <= ranking < 1:
        known = f"a PU-AUC of {ranking:.3f} only" if ranking < 1 else "an unknown PU-AUC"
        line += (
            f" (the scores rank with {known}: below {SHARP}, data sets with other class priors can "
            "look like this)"
        )
    say(f"warning: {line}" if check.violated else line)
    if check.violated:
        track.tags({"warning.scar": line})
    elif check.reason:
        track.tags({"scar.not_done": check.reason})


def report_drift(record: PriorRecord, plan: Plan, history: History, track: RunTrack) -> None:
    """Compare c and s with the newest complete prior run on other training data."""
    train = plan.tables["training"]
    # rows of one data set are alike: where there are several, chance is between data sets
    unit = "dataset" if "dataset" in record.intervals else "row"
    widest = record.intervals[unit][record.estimator]
    now = CurrentRates(
        estimator=record.estimator,
        c=record.chosen.c,
        c_interval=widest.c,
        s_interval=widest.s,
        unit=unit,
        n_rows=train.n_rows(plan.polarity),
        n_labelled=train.n_labelled(plan.polarity),
    )
    found = drift(now, history.of_phase("estimate_prior"), plan.polarity, train.digest)
    if found is None:
        return
    track.metrics(found.metrics())
    track.tags({"drift.from": found.run_id})
    line = found.warning()
    if line:
        say(f"warning: {line}")
        track.tags({"warning.drift": line})
