"""Spectra models between phases: what one says of its training table, and how it is logged."""

import json
from pathlib import Path
from typing import Any

from priorwise.learn.network_folder import DEFAULT_THRESHOLD
from priorwise.phases.desk import Plan
from priorwise.phases.logged_model import log_network
from priorwise.serving.spectra_package import SPECTRA
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.saved_model import read_description
from priorwise.spectra.schema import POLARITIES, SCHEMA_NAME
from priorwise.spectra.simulate import MANIFEST
from priorwise.spectra.table_stats import stats_of_table
from priorwise.store.addresses import is_remote
from priorwise.store.tables import open_pinned
from priorwise.tracking.runs import RunTrack


def describe(plan: Plan, run_id: str, priors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The description of the model that a training leaves behind (see `saved_model`)."""
    train = plan.tables["training"]
    stats = stats_of_table(open_pinned(train.uri, train.version))
    return {
        "phase": plan.phase,
        "polarity": plan.polarity,
        "schema": SCHEMA_NAME,
        "training_run": run_id,
        "threshold": DEFAULT_THRESHOLD,
        "rule": "",
        "settings_stats": json.loads(stats.to_json()) if stats else None,
        "priors": priors,
        "training_data": training_data(train),
    }


def training_data(train: TableFacts) -> str:
    """A training table in words, for the description of a model."""
    parts = [
        f"{train.n_rows(mode):,} rows of {mode} mode ({train.n_labelled(mode):,} labelled)"
        for mode in POLARITIES
        if train.n_rows(mode)
    ]
    n_datasets = len({dataset for _, dataset in train.rows})
    made_up = not is_remote(train.uri) and (Path(train.uri).parent / MANIFEST).exists()
    what = "SIMULATED data, of no use for real spectra: " if made_up else ""
    return f"{what}{' and '.join(parts)}, {n_datasets} data set{'s' * (n_datasets != 1)}"


def log_spectra_model(track: RunTrack, network_folder: Path) -> str:
    """Log a network folder as a pyfunc model of a run, and tag the run with it.

    Returns
    -------
    str
        Id of the logged model.
    """
    polarity = read_description(network_folder)["polarity"]
    return log_network(track, network_folder, SPECTRA, {"polarity": polarity})
