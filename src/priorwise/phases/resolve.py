"""Which earlier run to build on: pure functions from candidate records to a choice or refusals.

Nothing here reads a server, so every wrong-prior case is a row of a table test. The rule never
guesses: a candidate that is not fit is skipped with its reasons, a tie is refused, and an
explicit wish that cannot be met is refused, never replaced.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from priorwise.pu.priors import check_prior

RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
RECORD = ("c", "s", "pi")
#: slack of comparisons between numbers that were computed or stored along different ways
ROUNDING = 1e-6
#: a number may differ by rounding from the resolvable prior: the guide's .454 is .4534
NUMBER_TOLERANCE = 1e-3
#: scores of a sigmoid applied twice all lie in [1/2, sigmoid(1)], up to float32 rounding
TWICE_LOW, TWICE_HIGH = 0.5 - ROUNDING, 1 / (1 + math.exp(-1)) + ROUNDING
FEW_LABELLED = 30


@dataclass(frozen=True)
class Source:
    """What is needed of any run before its results may be used.

    `phase`, `polarity`, `digest`, `version` and `schema` are the immutable params of the run;
    `tags` its tags of today.
    """

    run_id: str
    name: str
    experiment_id: str
    start_time: int
    status: str
    deleted: bool
    complete: bool
    phase: str
    polarity: str
    digest: str
    version: int
    schema: str
    tags: Mapping[str, str] = field(default_factory=dict)
    checkpoint_recorded: str | None = None
    checkpoint_now: str | None = None


@dataclass(frozen=True)
class PriorCandidate:
    """An `estimate_prior` run: its record, and the BCE run it came from (None if gone)."""

    run: Source
    c: float
    s: float
    pi: float
    history: Mapping[str, int]  # times each value was written
    bce: Source | None
    bce_checkpoint: str  # sha256 recorded when the prior was estimated
    n_labelled: float = math.nan
    score_low: float = math.nan
    score_high: float = math.nan
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of c and pi


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    spec : str
        `auto`, a run id, or (priors only) a number.
    polarity, digest, schema : str
        What the training table is.
    s_train : float
        Labelled fraction of the training table: a number takes it as s, a run must agree with it.
    """

    spec: str
    polarity: str
    digest: str
    schema: str
    experiment_id: str
    version: int = 0
    s_train: float = math.nan
    override: bool = False


@dataclass(frozen=True)
class Refused:
    """A candidate that was not used, and why."""

    run_id: str
    name: str
    start_time: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Refusals:
    """Nothing could be chosen."""

    reason: str
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class ChosenRun:
    """The run to build on; `skipped` are unfit candidates, `warnings` what a user should see."""

    run: Source
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChosenPrior:
    """The prior to train with. `run_id` is empty, and no interval known, for a number."""

    polarity: str
    c: float
    s: float
    pi: float
    run_id: str = ""
    bce_run_id: str = ""
    overridden: bool = False
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


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
    return reasons


def choose_run(request: Request, candidates: Sequence[Source], phase: str) -> ChosenRun | Refusals:
    """The training run to build on.

    Parameters
    ----------
    request : Request
        `spec` is `auto` (the newest fit run) or a run id (that run, if fit).
    candidates : sequence of Source
        One snapshot.
    phase : str
        What it has to be a run of.
    """
    by_id = request.spec != "auto"
    wanted = {c.run_id: c for c in candidates if not by_id or c.run_id == request.spec}
    judged = [(run, training_reasons(run, request, phase, by_id)) for run in wanted.values()]
    return _newest(request, judged, phase)


def choose(
    request: Request, candidates: Sequence[PriorCandidate], pretrained: Sequence[Source] = ()
) -> ChosenPrior | Refusals:
    """The prior of one polarity.

    Parameters
    ----------
    request : Request
        `spec` is `auto`, a run id, or a number (then s is the training table's and c = s / pi).
    candidates : sequence of PriorCandidate
        One snapshot, which serves both polarities.
    pretrained : sequence of Source
        The BCE runs of the same snapshot: a prior that comes from an older one than the newest
        fit one is used, with a warning.

    Returns
    -------
    ChosenPrior or Refusals
        Never a guess.
    """
    by_id = request.spec != "auto"
    if by_id and not RUN_ID.match(request.spec):
        return _from_number(request, candidates, pretrained)
    wanted = {c.run.run_id: c for c in candidates if not by_id or c.run.run_id == request.spec}
    judged = [(c.run, prior_reasons(c, request, by_id)) for c in wanted.values()]
    chosen = _newest(request, judged, "estimate_prior")
    if isinstance(chosen, Refusals):
        return chosen
    candidate = wanted[chosen.run.run_id]
    return ChosenPrior(
        request.polarity,
        candidate.c,
        candidate.s,
        candidate.pi,
        run_id=candidate.run.run_id,
        bce_run_id=candidate.bce.run_id if candidate.bce else "",
        skipped=chosen.skipped,
        warnings=(*chosen.warnings, *_doubts(candidate, request, pretrained)),
        intervals=candidate.intervals,
    )


def _doubts(
    candidate: PriorCandidate, request: Request, pretrained: Sequence[Source]
) -> Iterator[str]:
    """What a user should know of a prior that is fit."""
    prior = f"the {request.polarity} prior of run {candidate.run.run_id}"
    if not candidate.n_labelled >= FEW_LABELLED:  # true for nan, too
        known = math.isfinite(candidate.n_labelled)
        number = f"{candidate.n_labelled:.0f}" if known else "an unknown number of"
        line = f"{prior} rests on {number} labelled rows (fewer than {FEW_LABELLED})"
        if "c" in candidate.intervals:
            low, high = candidate.intervals["c"]
            line += f": c {candidate.c:.4f}, interval {low:.4f} to {high:.4f}"
        yield line
    newer = [
        run
        for run in pretrained
        if candidate.bce
        and run.start_time > candidate.bce.start_time
        and not training_reasons(run, request)
    ]
    if candidate.bce and newer:
        newest = max(newer, key=lambda run: (run.start_time, run.run_id))
        yield (
            f"{prior} comes from BCE run {candidate.bce.run_id}, but BCE run {newest.run_id} is "
            "newer: run estimate_prior again to use that one"
        )


def _newest(
    request: Request, judged: Sequence[tuple[Source, list[str]]], what: str
) -> ChosenRun | Refusals:
    refused = tuple(
        Refused(run.run_id, run.name, run.start_time, tuple(reasons))
        for run, reasons in sorted(judged, key=lambda j: (-j[0].start_time, j[0].run_id))
        if reasons
    )
    fit = sorted(
        (run for run, reasons in judged if not reasons), key=lambda r: (-r.start_time, r.run_id)
    )
    if not fit:
        if request.spec == "auto":
            reason = f"no fit {what} run for polarity {request.polarity}"
            if not refused:
                reason += f" (no {what} run at all in experiment {request.experiment_id})"
            return Refusals(reason, refused)
        reason = "is not fit" if refused else f"is not a run of {what}, or does not exist"
        return Refusals(f"run {request.spec} {reason} (polarity {request.polarity})", refused)
    tied = [run for run in fit if run.start_time == fit[0].start_time]
    if len(tied) > 1:
        both = tuple(
            Refused(r.run_id, r.name, r.start_time, ("fit, with the same start time",))
            for r in tied
        )
        return Refusals(
            f"{len(tied)} fit {what} runs for polarity {request.polarity} started at the same "
            "time: name one by its run id",
            both + refused,
        )
    ours = {run.run_id for run, _ in judged if run.polarity == request.polarity}
    newer = [r for r in refused if r.run_id in ours and r.start_time >= fit[0].start_time]
    warnings = tuple(f"newer {what} run {r.run_id} skipped: {'; '.join(r.reasons)}" for r in newer)
    return ChosenRun(fit[0], refused, warnings)


def _from_number(
    request: Request, candidates: Sequence[PriorCandidate], pretrained: Sequence[Source]
) -> ChosenPrior | Refusals:
    try:
        pi = float(request.spec)
    except ValueError:
        return Refusals(f"prior {request.spec!r} is not `auto`, a run id, or a number")
    c = request.s_train / pi if pi else math.inf
    unfit = check_prior(request.s_train, c, pi)
    if unfit:
        return Refusals(f"prior {pi:g} for polarity {request.polarity}: {'; '.join(unfit)}")
    number = ChosenPrior(request.polarity, c, request.s_train, pi)
    known = choose(replace(request, spec="auto"), candidates, pretrained)
    if isinstance(known, Refusals):
        line = f"prior {pi:g} for polarity {request.polarity} is not compared: {known.reason}"
        return replace(number, warnings=(line,), skipped=known.refused)
    if abs(known.pi - pi) <= NUMBER_TOLERANCE + ROUNDING:
        return number
    differs = (
        f"prior {pi:g} for polarity {request.polarity} contradicts pi {known.pi:.4f} of run "
        f"{known.run_id}"
    )
    if not request.override:
        return Refusals(f"{differs} (override=true to insist)")
    return replace(number, overridden=True, warnings=(f"{differs}; override=true was given",))


def refusal_table(refusals: Refusals) -> str:
    """The reason, and one aligned line per candidate."""
    lines = [refusals.reason]
    for r in refusals.refused:
        lines.append(f"  {r.run_id}  {r.name:<28}  {'; '.join(r.reasons)}")
    return "\n".join(lines)
