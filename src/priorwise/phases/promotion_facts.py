"""From runs, models and tables to what the gates of every pipeline ask."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from priorwise.errors import BadInput
from priorwise.phases.candidates import Source
from priorwise.phases.desk import Desk
from priorwise.phases.gates import Finding
from priorwise.phases.lineage import source
from priorwise.phases.promotion_candidate import Evaluation
from priorwise.store.tables import open_pinned
from priorwise.tracking.evidence import BoundMetrics, RecordedTable, bound_metrics, dataset_inputs
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.search import RunFacts


class Inspected(Protocol):
    """What a full reading of a table found."""

    @property
    def digest(self) -> str:
        """Digest of every value."""


def judged_model(
    model: ModelFacts, called: str, address: str, description: Mapping[str, Any], desk: Desk
) -> dict[str, Any]:
    """Fields of a `Candidate` that a comparison needs: threshold and evaluations, no lineage."""
    return {
        "called": called,
        "address": address,
        "model_id": model.model_id,
        "sha256": model.sha256,
        "schema": str(description.get("schema", "")),
        "threshold": float(description["threshold"]),
        "rule": str(description["rule"]),
        "evaluations": [
            _evaluation(bound, desk) for bound in bound_metrics(desk.track.client, model.model_id)
        ],
        "trained_on": str(description.get("training_data", "")),
    }


def source_of(run_id: str, desk: Desk) -> Source | None:
    """A run as the gates see it; None if there is none of this id."""
    return _source(desk.track.history.run(run_id) if run_id else None, desk)


def training_tables(run_ids: list[str], desk: Desk) -> dict[str, RecordedTable]:
    """The training table among the dataset inputs of each run that has one on record."""
    inputs = {run_id: dataset_inputs(desk.track.client, run_id) for run_id in run_ids}
    return {run_id: roles["training"] for run_id, roles in inputs.items() if "training" in roles}


def read_again(recorded: RecordedTable | None, read: Callable[[str, int], Inspected]) -> Finding:
    """Whether a table on record still holds what it held; one that is out of reach passes.

    Parameters
    ----------
    recorded : RecordedTable or None
    read : callable of (uri, version) -> facts
        Reads and checks the whole table.
    """
    if recorded is None or not recorded.uri:
        return Finding(True, "the training table is not on record")
    name = f"the training table {recorded.uri} version {recorded.version}"
    try:
        open_pinned(recorded.uri, recorded.version)
    except BadInput:
        return Finding(True, f"{name} is out of reach: not read again")
    try:
        digest = read(recorded.uri, recorded.version).digest
    except BadInput as error:
        return Finding(False, f"{name} cannot be read any more ({error})")
    if digest == recorded.digest:
        return Finding(True, f"{name} was read again: digest {digest[:8]}")
    return Finding(
        False,
        f"{name} has changed: digest {digest[:8]}, on record is {recorded.digest[:8]}",
    )


def _evaluation(bound: BoundMetrics, desk: Desk) -> Evaluation:
    facts = desk.track.history.run(bound.run_id) if bound.run_id else None
    tables = dataset_inputs(desk.track.client, bound.run_id) if facts else {}
    address = next((t.uri for t in tables.values() if t.digest == bound.digest), bound.dataset)
    return Evaluation(
        run=_source(facts, desk),
        model_id=facts.params.get("contract.upstream.model", "") if facts else "",
        digest=bound.digest,
        table=address,
        when=bound.when,
        metrics=bound.metrics,
    )


def _source(facts: RunFacts | None, desk: Desk) -> Source | None:
    return source(facts, desk.track.history, lambda facts: True) if facts else None
