"""Spectra models between phases: packaged and logged by one, found again by another."""

import json
from pathlib import Path
from typing import Any

from priorwise.errors import BadInput
from priorwise.learn.network_folder import DEFAULT_THRESHOLD, WEIGHTS
from priorwise.phases.desk import Desk, Plan, say
from priorwise.serving.package import write_pyfunc
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.saved_model import read_description
from priorwise.spectra.schema import POLARITIES, SCHEMA_NAME
from priorwise.spectra.simulate import MANIFEST
from priorwise.spectra.table_stats import stats_of_table
from priorwise.store.tables import is_remote, open_pinned
from priorwise.tracking.fingerprint import file_sha256
from priorwise.tracking.models import (
    MODEL_DIGEST,
    MODEL_ID,
    MODEL_SHA256,
    ModelFacts,
    folder_digest,
)
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
    description = read_description(network_folder)
    sha256 = file_sha256(network_folder / WEIGHTS)
    model_id = track.log_model(
        lambda folder, model_id: write_pyfunc(network_folder, folder, model_id, track.run_id),
        {
            MODEL_SHA256: sha256,
            MODEL_DIGEST: folder_digest(network_folder),
            "phase": str(description.get("phase", "")),
            "polarity": description["polarity"],
            "threshold": f"{description['threshold']:.6g}",
            "rule": description["rule"] or "default",
            "training_run": description["training_run"],
        },
    )
    track.tags({MODEL_ID: model_id, MODEL_SHA256: sha256})
    return model_id


def find_model(spec: str, desk: Desk, phase: str) -> ModelFacts:
    """The model a user named.

    Parameters
    ----------
    spec : str
        A run id, models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID, or `auto`: that of the
        newest complete run of `phase` in this experiment.

    Raises
    ------
    BadInput
        If there is none, or its weights are not those that were recorded.
    """
    if spec != "auto":
        return desk.track.models.find(spec)
    for facts in desk.track.history.of_phase(phase):
        if facts.complete and not facts.deleted and facts.tags.get(MODEL_ID):
            say(f"model: that of run {facts.run_id} ({facts.name}), the newest complete {phase}")
            return desk.track.models.find(facts.run_id)
    raise BadInput(
        f"model: auto, but no complete {phase} run is in this experiment (run {phase} first, or "
        "give a run id or models:/NAME@ALIAS)"
    )
