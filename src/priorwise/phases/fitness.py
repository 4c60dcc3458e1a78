"""Why an earlier run may not be built on: pure functions from records to reasons."""

import math

from priorwise.phases.candidates import RECORD, PriorCandidate, Request, Source
from priorwise.pu.rates import check_prior

#: slack of comparisons between numbers that were computed or stored along different ways
ROUNDING = 1e-6
#: scores of a sigmoid applied twice all lie in [1/2, sigmoid(1)], up to float32 rounding
TWICE_LOW, TWICE_HIGH = 0.5 - ROUNDING, 1 / (1 + math.exp(-1)) + ROUNDING


def source_reasons(
    run: Source, request: Request, phase: str, what: str = "run", by_id: bool = False
) -> list[str]:
    """Why a run may not be used at all; empty if it may.

    Parameters
    ----------
    run : Source
    request : Request
    phase : str
        What the run has to be a run of.
    what : str
        How the reasons call it.
    by_id : bool
        It was named by its id, so that its experiment does not matter.
    """
    reasons = []
    if run.deleted:
        reasons.append(f"{what} is deleted")
    if run.status != "FINISHED":
        reasons.append(f"{what} has status {run.status}")
    elif not run.complete:
        reasons.append(f"{what} is FINISHED but not complete (no `complete` tag)")
    if not by_id and run.experiment_id != request.experiment_id:
        reasons.append(f"{what} belongs to another experiment (id {run.experiment_id})")
    if run.phase != phase:
        reasons.append(f"{what} is of phase {run.phase or 'unknown'} (wanted {phase})")
    if run.polarity != request.polarity:
        reasons.append(f"{what} is for polarity {run.polarity or 'unknown'}")
    if run.schema != request.schema:
        reasons.append(f"{what} has schema {run.schema or 'unknown'} (wanted {request.schema})")
    if run.digest != request.digest:
        reasons.append(
            f"{what} used other training data (digest {run.digest[:8] or 'unknown'}, version "
            f"{run.version}; wanted {request.digest[:8]}, version {request.version})"
        )
    if "data" in run.changed:
        reasons.append(f"{what} was resumed on other training data than it began with")
    immutable = {
        "phase": run.phase,
        "polarity": run.polarity,
        "schema": run.schema,
        "data.digest": run.digest,
        "data.version": str(run.version),
    }
    for key, value in immutable.items():
        if run.tags.get(key, value) != value:
            reasons.append(f"{what} has tag {key} changed after the fact (the param is {value})")
    if run.checkpoint_recorded is not None and run.checkpoint_now != run.checkpoint_recorded:
        gone = "is gone" if run.checkpoint_now is None else "has changed"
        reasons.append(f"checkpoint of {what} {gone} since it was written")
    return reasons


def prior_reasons(candidate: PriorCandidate, request: Request, by_id: bool = False) -> list[str]:
    """Why a prior may not be used; empty if it may."""
    c, s, pi = candidate.c, candidate.s, candidate.pi
    reasons = source_reasons(candidate.run, request, "estimate_prior", by_id=by_id)
    # of a run that is refused anyway, the history may not have been read
    otherwise = 1 if reasons else 0
    rewritten = [name for name in RECORD if candidate.history.get(name, otherwise) != 1]
    unfit = check_prior(s, c, pi)
    reasons += unfit
    if not unfit and abs(pi - s / c) > ROUNDING:
        reasons.append(f"pi {pi:.6f} is not s/c = {s / c:.6f}")
    if not unfit and abs(s - request.s_train) > ROUNDING and request.digest == candidate.run.digest:
        reasons.append(f"s {s:.6f} is not that of the training table, {request.s_train:.6f}")
    if rewritten:
        reasons.append(f"{', '.join(rewritten)} not written exactly once")
    low, high = candidate.score_low, candidate.score_high
    if low < 0 or high > 1:
        reasons.append(f"scores range over [{low:.3g}, {high:.3g}]: not probabilities")
    elif low >= TWICE_LOW and high <= TWICE_HIGH:
        reasons.append(f"scores lie in [{low:.3f}, {high:.3f}]: a sigmoid applied twice?")
    if candidate.bce is None:
        reasons.append("its BCE run does not exist")
    else:
        # the prior names its BCE run by id
        reasons += source_reasons(candidate.bce, request, "bce_pretrain", "its BCE run", by_id=True)
        if candidate.bce_checkpoint != candidate.bce.checkpoint_recorded:
            reasons.append("it was estimated from another checkpoint of its BCE run")
    return reasons


def training_reasons(
    run: Source, request: Request, phase: str = "bce_pretrain", by_id: bool = False
) -> list[str]:
    """Why a training run may not be built on; empty if it may."""
    reasons = source_reasons(run, request, phase, by_id=by_id)
    if run.checkpoint_recorded is None:
        reasons.append("run has no checkpoint on record")
    if "warning.degenerate_kept" in run.tags:
        reasons.append(f"its model is degenerate: {run.tags['warning.degenerate_kept']}")
    return reasons
