"""Which earlier run to build on: pure functions from candidate records to a choice or refusals.

Nothing here reads a server, so every wrong-prior case is a row of a table test. The rule never
guesses: a candidate that is not fit is skipped with its reasons, a tie is refused, and an
explicit wish that cannot be met is refused, never replaced.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from priorwise.pu.priors import check_prior

RUN_ID = re.compile(r"^[0-9a-f]{32}$")
#: a number may differ by rounding from the resolvable prior: the guide's .454 is .4534
NUMBER_TOLERANCE = 1e-3
#: scores of a sigmoid applied twice all lie in [1/2, sigmoid(1)]
TWICE_LOW, TWICE_HIGH = 0.5, 1 / (1 + math.exp(-1))
FEW_LABELLED = 30


@dataclass(frozen=True)
class Source:
    """What is needed of any run before its results may be used.

    `polarity` and `digest` are the immutable params of the run; `tags` its tags of today.
    """

    run_id: str
    name: str
    experiment_id: str
    start_time: int
    status: str
    deleted: bool
    complete: bool
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
        Labelled fraction of the training table, used with a number.
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
    """The prior to train with. `run_id` is empty when a number was given."""

    polarity: str
    c: float
    s: float
    pi: float
    run_id: str = ""
    bce_run_id: str = ""
    overridden: bool = False
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()


def source_reasons(run: Source, request: Request, what: str, explicit: bool = False) -> list[str]:
    """Why a run may not be used at all; empty if it may."""
    reasons = []
    if run.deleted:
        reasons.append(f"{what} is deleted")
    if run.status != "FINISHED":
        reasons.append(f"{what} has status {run.status}")
    elif not run.complete:
        reasons.append(f"{what} is FINISHED but not complete (no `complete` tag)")
    if not explicit and run.experiment_id != request.experiment_id:
        reasons.append(f"{what} belongs to another experiment")
    if run.polarity != request.polarity:
        reasons.append(f"{what} is for polarity {run.polarity or 'unknown'}")
    if run.schema != request.schema:
        reasons.append(f"{what} has schema {run.schema or 'unknown'} (wanted {request.schema})")
    if run.digest != request.digest:
        reasons.append(
            f"{what} used other training data (digest {run.digest[:8] or 'unknown'}, version "
            f"{run.version}; wanted {request.digest[:8]}, version {request.version})"
        )
    for key, value in (("polarity", run.polarity), ("data.digest", run.digest)):
        if key in run.tags and run.tags[key] != value:
            reasons.append(f"{what} has tag {key} changed after the fact")
    if run.checkpoint_recorded is not None and run.checkpoint_now != run.checkpoint_recorded:
        gone = "is gone" if run.checkpoint_now is None else "has changed"
        reasons.append(f"checkpoint of {what} {gone} since it was written")
    return reasons


def prior_reasons(candidate: PriorCandidate, request: Request, explicit: bool = False) -> list[str]:
    """Why a prior may not be used; empty if it may."""
    reasons = source_reasons(candidate.run, request, "run", explicit)
    reasons += check_prior(candidate.s, candidate.c, candidate.pi)
    if not reasons and abs(candidate.pi - candidate.s / candidate.c) > 1e-6:
        reasons.append(f"pi {candidate.pi:.6f} is not s/c = {candidate.s / candidate.c:.6f}")
    rewritten = [name for name, times in candidate.history.items() if times != 1]
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
        reasons += source_reasons(candidate.bce, request, "its BCE run", explicit)
        if candidate.bce_checkpoint != candidate.bce.checkpoint_recorded:
            reasons.append("it was estimated from another checkpoint of its BCE run")
    return reasons


def choose_run(request: Request, candidates: Sequence[Source], what: str) -> ChosenRun | Refusals:
    """The run of a phase to build on.

    Parameters
    ----------
    request : Request
        `spec` is `auto` (the newest fit run) or a run id (that run, if fit).
    candidates : sequence of Source
        One snapshot.
    what : str
        Name of the phase, for messages.
    """
    explicit = request.spec != "auto"
    wanted = [c for c in candidates if not explicit or c.run_id == request.spec]
    judged = [(c, source_reasons(c, request, "run", explicit)) for c in wanted]
    return _newest(request, [(c, c, r) for c, r in judged], what)


def choose(request: Request, candidates: Sequence[PriorCandidate]) -> ChosenPrior | Refusals:
    """The prior of one polarity.

    Parameters
    ----------
    request : Request
        `spec` is `auto`, a run id, or a number (then s is the training table's and c = s / pi).
    candidates : sequence of PriorCandidate
        One snapshot, which serves both polarities.

    Returns
    -------
    ChosenPrior or Refusals
        Never a guess.
    """
    if request.spec != "auto" and not RUN_ID.match(request.spec):
        return _from_number(request, candidates)
    explicit = request.spec != "auto"
    wanted = [c for c in candidates if not explicit or c.run.run_id == request.spec]
    judged = [(c, prior_reasons(c, request, explicit)) for c in wanted]
    chosen = _newest(request, [(c, c.run, r) for c, r in judged], "estimate_prior")
    if isinstance(chosen, Refusals):
        return chosen
    candidate = next(c for c, _ in judged if c.run is chosen.run)
    warnings = list(chosen.warnings)
    if candidate.n_labelled < FEW_LABELLED:
        warnings.append(
            f"the {request.polarity} prior of run {candidate.run.run_id} rests on "
            f"{candidate.n_labelled:.0f} labelled rows (fewer than {FEW_LABELLED})"
        )
    return ChosenPrior(
        request.polarity,
        candidate.c,
        candidate.s,
        candidate.pi,
        run_id=candidate.run.run_id,
        bce_run_id=candidate.bce.run_id if candidate.bce else "",
        skipped=chosen.skipped,
        warnings=tuple(warnings),
    )


def _newest(
    request: Request, judged: Sequence[tuple[object, Source, list[str]]], what: str
) -> ChosenRun | Refusals:
    refused = tuple(
        Refused(run.run_id, run.name, run.start_time, tuple(reasons))
        for _, run, reasons in sorted(judged, key=lambda j: (-j[1].start_time, j[1].run_id))
        if reasons
    )
    fit = sorted((run for _, run, reasons in judged if not reasons), key=lambda r: -r.start_time)
    if not fit:
        if request.spec == "auto":
            return Refusals(f"no fit {what} run for polarity {request.polarity}", refused)
        reason = "is not fit" if refused else f"is not a run of {what}, or does not exist"
        return Refusals(f"run {request.spec} {reason} (polarity {request.polarity})", refused)
    tied = [run for run in fit if run.start_time == fit[0].start_time]
    if len(tied) > 1:
        both = tuple(
            Refused(r.run_id, r.name, r.start_time, ("fit, with the same start time",)) for r in tied
        )
        return Refusals(
            f"{len(tied)} fit {what} runs for polarity {request.polarity} started at the same "
            "time: name one by its run id",
            both + refused,
        )
    newer = [r for r in refused if r.start_time >= fit[0].start_time]
    warnings = tuple(
        f"newer {what} run {r.run_id} skipped: {'; '.join(r.reasons)}" for r in newer
    )
    return ChosenRun(fit[0], refused, warnings)


def _from_number(
    request: Request, candidates: Sequence[PriorCandidate]
) -> ChosenPrior | Refusals:
    try:
        pi = float(request.spec)
    except ValueError:
        return Refusals(f"prior {request.spec!r} is not `auto`, a run id, or a number")
    c = request.s_train / pi if pi else math.inf
    unfit = check_prior(request.s_train, c, pi)
    if unfit:
        return Refusals(f"prior {pi:g} for polarity {request.polarity}: {'; '.join(unfit)}")
    known = choose(
        Request(**{**vars(request), "spec": "auto"}), candidates
    )
    overridden = False
    if isinstance(known, ChosenPrior) and abs(known.pi - pi) > NUMBER_TOLERANCE:
        if not request.override:
            return Refusals(
                f"prior {pi:g} for polarity {request.polarity} contradicts pi {known.pi:.4f} of "
                f"run {known.run_id} (override=true to insist)"
            )
        overridden = True
    return ChosenPrior(request.polarity, c, request.s_train, pi, overridden=overridden)


def refusal_table(refusals: Refusals) -> str:
    """The reason, and one aligned line per candidate."""
    lines = [refusals.reason]
    if not refusals.refused:
        lines.append("  no candidate at all in this experiment")
    for r in refusals.refused:
        lines.append(f"  {r.run_id}  {r.name:<28}  {'; '.join(r.reasons)}")
    return "\n".join(lines)
