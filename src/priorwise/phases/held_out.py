"""From a BCE run and held-out tables to a prior record: scores, every estimator, intervals."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from priorwise.phases.desk import Plan, say
from priorwise.pu.calibration import undo_pos_weight
from priorwise.pu.intervals import HeldOutRows, LabelCounts, PriorIntervals, Unit, bootstrap_priors
from priorwise.pu.priors import estimate_priors
from priorwise.pu.record import COMPARED, PriorRecord
from priorwise.pu.score_table import ScoreTable
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.scoring import dataset_of_rows, predictions
from priorwise.store.tables import open_pinned
from priorwise.tracking.search import RunFacts


def pos_weight_of(bce: RunFacts) -> float:
    """Weight of labelled rows in the loss of a BCE run."""
    try:
        return float(bce.params.get("cfg.pos_weight", "1"))
    except ValueError:
        return math.nan


@dataclass(frozen=True)
class Scored:
    """Test Set 1 and the validation table with the probabilities of s that the BCE run gives.

    Columns as of `scoring.predictions`; `test` also has dataset_id.
    """

    test: pd.DataFrame
    validation: pd.DataFrame


def score(plan: Plan, network: SpectrumClassifier) -> Scored:
    """Probabilities of s on both held-out tables, the weight of the loss undone."""
    tables = {}
    for role in ("test_1", "validation"):
        pinned = open_pinned(plan.tables[role].uri, plan.tables[role].version)
        scores = predictions(network, load_rows(pinned, plan.polarity))
        scores["probability"] = undo_pos_weight(
            scores["probability"].to_numpy(), pos_weight_of(plan.resolved)
        )
        if role == "test_1":
            scores["dataset_id"] = dataset_of_rows(pinned, scores)
        tables[role] = scores
    return Scored(tables["test_1"], tables["validation"])


def estimate(plan: Plan, scored: Scored, bce_checkpoint: str) -> PriorRecord:
    """Every estimator's c, intervals of those that matter, and the record of the chosen one."""
    config, train, test = plan.config, plan.tables["training"], plan.tables["test_1"]
    held_out, validation = (
        ScoreTable.of(table["probability"], table["label"])
        for table in (scored.test, scored.validation)
    )
    labelled = scored.test["label"] == 1
    return PriorRecord(
        estimator=config.estimator,
        estimates=estimate_priors(held_out, train.label_rate(plan.polarity), validation=validation),
        intervals=intervals(plan, scored),
        n_datasets=min(
            scored.test.loc[labelled, "dataset_id"].nunique(),
            len(train.counts_by_dataset(plan.polarity)[0]),
        ),
        polarity=plan.polarity,
        data_digest=train.digest,
        bce_run=plan.resolved.run_id,
        bce_checkpoint=bce_checkpoint,
        n_labelled=int(labelled.sum()),
        s_test=test.label_rate(plan.polarity),
    )


def intervals(plan: Plan, scored: Scored) -> dict[str, dict[str, PriorIntervals]]:
    """By row, and by data set where there are several, of the chosen estimator, e1 and median."""
    config, train = plan.config, plan.tables["training"]
    names = list(dict.fromkeys([config.estimator, *COMPARED]))
    test, validation = (
        HeldOutRows(t["probability"], t["label"], t.get("dataset_id"))
        for t in (scored.test, scored.validation)
    )
    counts = LabelCounts.of(*train.counts_by_dataset(plan.polarity))
    units: list[Unit] = ["row"]
    if counts.rows.size > 1 and scored.test["dataset_id"].nunique() > 1:
        units.append("dataset")
    found: dict[str, dict[str, PriorIntervals]] = {}
    for unit in units:
        say(f"intervals: {config.resamples} bootstrap resamples by {unit}")
        rng = np.random.default_rng([config.seed, units.index(unit)])
        try:
            found[unit] = bootstrap_priors(
                names,
                test,
                counts,
                unit=unit,
                validation=validation,
                resamples=config.resamples,
                rng=rng,
            )
        except ValueError as error:
            if unit == "row":
                raise
            say(f"no interval by data set: {error}")
    return found
