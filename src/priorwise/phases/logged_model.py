"""Models between phases, of every pipeline: packaged and logged by one, found again by another."""

from collections.abc import Mapping
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.learn.network_folder import WEIGHTS
from priorwise.phases.desk import Desk, say
from priorwise.serving.package import Package
from priorwise.tracking.fingerprint import file_sha256
from priorwise.tracking.models import (
    MODEL_DIGEST,
    MODEL_ID,
    MODEL_SHA256,
    ModelFacts,
    folder_digest,
)
from priorwise.tracking.runs import RunTrack


def log_network(
    track: RunTrack, network_folder: Path, package: Package, tags: Mapping[str, str] | None = None
) -> str:
    """Log a network folder as a pyfunc model of a run, and tag the run with it.

    Parameters
    ----------
    package : Package
        Of the pipeline that the folder is of.
    tags : mapping, optional
        Of the logged model, beside those that every pipeline has.

    Returns
    -------
    str
        Id of the logged model.
    """
    description = package.read_description(network_folder)
    sha256 = file_sha256(network_folder / WEIGHTS)
    model_id = track.log_model(
        lambda folder, model_id: package.write(network_folder, folder, model_id, track.run_id),
        {
            MODEL_SHA256: sha256,
            MODEL_DIGEST: folder_digest(network_folder),
            "phase": str(description.get("phase", "")),
            "threshold": f"{description['threshold']:.6g}",
            "rule": description["rule"] or "default",
            "training_run": description["training_run"],
            **(tags or {}),
        },
    )
    track.tags({MODEL_ID: model_id, MODEL_SHA256: sha256})
    return model_id


def find_model(spec: str, desk: Desk, *phases: str) -> ModelFacts:
    """The model a user named.

    Parameters
    ----------
    spec : str
        A run id, models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID, or `auto`: that of the
        newest complete run of one of `phases` in this experiment.

    Raises
    ------
    BadInput
        If there is none, or its weights are not those that were recorded.
    """
    if spec != "auto":
        return desk.track.models.find(spec)
    named = " or ".join(phases)
    runs = desk.track.history.of_phase(*phases)
    for facts in sorted(runs, key=lambda run: run.age, reverse=True):
        if facts.complete and not facts.deleted and facts.tags.get(MODEL_ID):
            say(f"model: that of run {facts.run_id} ({facts.name}), the newest complete {named}")
            return desk.track.models.find(facts.run_id)
    raise BadInput(
        f"model: auto, but no complete {named} run is in this experiment (run {phases[0]} first, "
        "or give a run id or models:/NAME@ALIAS)"
    )
