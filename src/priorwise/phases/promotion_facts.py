"""From runs, models and tables to the record that the gates of a spectra model judge."""

import math
from collections.abc import Mapping
from typing import Any

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.candidates import PriorCandidate, Request, Source
from priorwise.phases.desk import Desk, say
from priorwise.phases.gates import Finding
from priorwise.phases.lineage import Snapshot, prior_candidates, source
from priorwise.phases.spectra_candidate import (
    Evaluation,
    Interval,
    PriorUse,
    SpectraCandidate,
)
from priorwise.spectra.facts import inspect
from priorwise.spectra.saved_model import read_description
from priorwise.store.tables import open_pinned
from priorwise.tracking.evidence import BoundMetrics, RecordedTable, bound_metrics, dataset_inputs
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.registry import VersionFacts
from priorwise.tracking.search import RunFacts

NOT_LOADED = Finding(False, "was not loaded")


def judged_model(model: ModelFacts, called: str, address: str, desk: Desk) -> SpectraCandidate:
    """What a comparison needs of a model: its threshold and its evaluations, not its lineage."""
    description = read_description(model.folder)
    return SpectraCandidate(
        called=called,
        address=address,
        model_id=model.model_id,
        sha256=model.sha256,
        polarity=description["polarity"],
        schema=str(description.get("schema", "")),
        threshold=float(description["threshold"]),
        rule=str(description["rule"]),
        loaded=NOT_LOADED,
        evaluations=[
            _evaluation(bound, desk) for bound in bound_metrics(desk.track.client, model.model_id)
        ],
        trained_on=str(description.get("training_data", "")),
    )


def candidate_facts(
    model: ModelFacts, called: str, address: str, loaded: Finding, desk: Desk
) -> SpectraCandidate:
    """All that the gates ask of a candidate; reads every run behind it, and the training table."""
    judged = judged_model(model, called, address, desk)
    description = read_description(model.folder)
    history, client = desk.track.history, desk.track.client
    training_facts = (
        history.run(description["training_run"]) if description["training_run"] else None
    )
    training = _source(training_facts, desk)
    priors = tuple(
        _prior_use(mode, use, training, judged.schema, desk)
        for mode, use in sorted(description["priors"].items(), reverse=True)
    )
    behind = [
        training,
        *(run for use in priors if use.found for run in (use.found.run, use.found.bce)),
    ]
    inputs = {run.run_id: dataset_inputs(client, run.run_id) for run in behind if run}
    tables = {run_id: roles["training"] for run_id, roles in inputs.items() if "training" in roles}
    params = training_facts.params if training_facts else {}
    return SpectraCandidate(
        **{
            **vars(judged),
            "loaded": loaded,
            "training": training,
            "logged_by": _source(history.run(model.run_id), desk),
            "priors": priors,
            "named_priors": {
                mode: params.get(f"contract.upstream.prior.{mode}", "") for mode in judged.modes
            },
            "inputs": {run_id: table.digest for run_id, table in tables.items()},
            "table": read_again(tables.get(training.run_id) if training else None),
        }
    )


def champion_facts(champion: VersionFacts | None, desk: Desk) -> SpectraCandidate | None:
    """The champion as the gates see it; one that cannot be read has no evaluation."""
    if champion is None:
        return None
    called = f"version {champion.version}"
    try:
        model = desk.track.models.find(champion.address)
        return judged_model(model, called, champion.address, desk)
    except (BadInput, TrackingFailure) as error:
        say(f"warning: the champion, {called}, cannot be read: {error}")
        unreadable = Finding(False, str(error))
        return SpectraCandidate(
            called, champion.address, champion.model_id, "", "", "", 0.0, "", unreadable
        )


def read_again(recorded: RecordedTable | None) -> Finding:
    """Whether a table on record still holds what it held; one that is out of reach passes."""
    if recorded is None or not recorded.uri:
        return Finding(True, "the training table is not on record")
    name = f"the training table {recorded.uri} version {recorded.version}"
    try:
        open_pinned(recorded.uri, recorded.version)
    except BadInput:
        return Finding(True, f"{name} is out of reach: not read again")
    try:
        _, facts = inspect(
            recorded.uri, recorded.uri.rstrip("/").rpartition("/")[2], recorded.version
        )
    except BadInput as error:
        return Finding(False, f"{name} cannot be read any more ({error})")
    if facts.digest == recorded.digest:
        return Finding(True, f"{name} was read again: digest {facts.digest[:8]}")
    return Finding(
        False,
        f"{name} has changed: digest {facts.digest[:8]}, on record is {recorded.digest[:8]}",
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


def _prior_use(
    mode: str, use: Mapping[str, Any], training: Source | None, schema: str, desk: Desk
) -> PriorUse:
    def number(name: str) -> float:
        return float(use.get(name, math.nan))

    run_id = str(use.get("run_id", ""))
    return PriorUse(
        polarity=mode,
        c=number("c"),
        s=number("s"),
        pi=Interval(number("pi"), number("pi.low"), number("pi.high")),
        run_id=run_id,
        estimator=str(use.get("estimator", "")),
        found=_prior_run(run_id, mode, training, schema, desk) if run_id else None,
    )


def _prior_run(
    run_id: str, mode: str, training: Source | None, schema: str, desk: Desk
) -> PriorCandidate | None:
    """The prior's run as the resolver of priors sees it."""
    facts = desk.track.history.run(run_id)
    if facts is None or training is None:
        return None
    wanted = Request(run_id, mode, training.digest, schema, training.experiment_id)
    return prior_candidates(Snapshot((facts,), ()), wanted, desk.track.history)[0]
