"""What promotion has to know of spectra models: from runs and tables to what the gates judge."""

import math
from collections.abc import Mapping
from typing import Any

from priorwise.phases.candidates import PriorCandidate, Request, Source
from priorwise.phases.desk import Desk
from priorwise.phases.gates import Finding
from priorwise.phases.lineage import Snapshot, prior_candidates
from priorwise.phases.pipeline import Pipeline
from priorwise.phases.promotion_candidate import Interval
from priorwise.phases.promotion_facts import judged_model, read_again, source_of, training_tables
from priorwise.phases.spectra_candidate import PriorUse, SpectraCandidate
from priorwise.phases.spectra_card import SpectraCard
from priorwise.phases.spectra_gates import GATES
from priorwise.spectra.facts import TableFacts, inspect
from priorwise.spectra.saved_model import read_description
from priorwise.spectra.schema import SCHEMA_NAME
from priorwise.tracking.models import ModelFacts


def judged(model: ModelFacts, called: str, address: str, desk: Desk) -> SpectraCandidate:
    """What a comparison needs of a model: its threshold and its evaluations, not its lineage."""
    description = read_description(model.folder)
    return SpectraCandidate(
        **judged_model(model, called, address, description, desk),
        polarity=description["polarity"],
    )


def facts(
    model: ModelFacts, called: str, address: str, loaded: Finding, desk: Desk
) -> SpectraCandidate:
    """All that the gates ask of a candidate; reads every run behind it, and the training table."""
    known = judged(model, called, address, desk)
    description = read_description(model.folder)
    history = desk.track.history
    training = source_of(description["training_run"], desk)
    priors = tuple(
        _prior_use(mode, use, training, known.schema, desk)
        for mode, use in sorted(description["priors"].items(), reverse=True)
    )
    behind = [
        training,
        *(run for use in priors if use.found for run in (use.found.run, use.found.bce)),
    ]
    tables = training_tables([run.run_id for run in behind if run], desk)
    trained = history.run(training.run_id) if training else None
    params = trained.params if trained else {}
    return SpectraCandidate(
        **{
            **vars(known),
            "loaded": loaded,
            "training": training,
            "logged_by": source_of(model.run_id, desk),
            "priors": priors,
            "named_priors": {
                mode: params.get(f"contract.upstream.prior.{mode}", "") for mode in known.modes
            },
            "inputs": {run_id: table.digest for run_id, table in tables.items()},
            "table": read_again(tables.get(training.run_id) if training else None, read_table),
        }
    )


def read_table(uri: str, version: int) -> TableFacts:
    """Read and check a whole table."""
    return inspect(uri, uri.rstrip("/").rpartition("/")[2], version)[1]


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
    found = desk.track.history.run(run_id)
    if found is None or training is None:
        return None
    wanted = Request(run_id, mode, training.digest, schema, training.experiment_id)
    return prior_candidates(Snapshot((found,), ()), wanted, desk.track.history)[0]


SPECTRA = Pipeline(
    schema=SCHEMA_NAME,
    registered="priorwise-spectra",
    candidate=SpectraCandidate,
    gates=GATES,
    judged=judged,
    facts=facts,
    card=SpectraCard,
    carried=("recall", "recall.low", "recall.high", "share_kept", "precision"),
    own_tags=lambda model: {"polarity": model.polarity},
    columns={"recall": "recall", "kept": "share_kept", "precision": "precision"},
)
