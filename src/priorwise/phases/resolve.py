"""Which earlier run to build on: pure functions from candidate records to a choice or refusals.

Nothing here reads a server, so every wrong-prior case is a row of a table test. The rule never
guesses: a candidate that is not fit is skipped with its reasons, a tie is refused, and an
explicit wish that cannot be met is refused, never replaced.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from priorwise.phases.candidates import (
    RUN_ID,
    ChosenPrior,
    ChosenRun,
    PriorCandidate,
    Refusals,
    Refused,
    Request,
    Source,
)
from priorwise.phases.fitness import ROUNDING, prior_reasons, training_reasons
from priorwise.pu.rates import check_prior

#: a number may differ by rounding from the resolvable prior: the guide's .454 is .4534
NUMBER_TOLERANCE = 1e-3
FEW_LABELLED = 30


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
    fit = [wanted[run.run_id] for run, reasons in judged if not reasons]
    return ChosenPrior(
        request.polarity,
        candidate.c,
        candidate.s,
        candidate.pi,
        run_id=candidate.run.run_id,
        bce_run_id=candidate.bce.run_id if candidate.bce else "",
        estimator=candidate.estimator,
        skipped=chosen.skipped,
        warnings=(
            *chosen.warnings,
            *_doubts(candidate, request, pretrained),
            *_other_estimators(candidate, fit),
        ),
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
        if candidate.bce and run.age > candidate.bce.age and not training_reasons(run, request)
    ]
    if candidate.bce and newer:
        newest = max(newer, key=lambda run: (run.age, run.run_id))
        yield (
            f"{prior} comes from BCE run {candidate.bce.run_id}, but BCE run {newest.run_id} is "
            "newer: run estimate_prior again to use that one"
        )


def _other_estimators(chosen: PriorCandidate, fit: Sequence[PriorCandidate]) -> Iterator[str]:
    """Name the newest fit prior of each other estimator, if its pi is another."""
    seen = {chosen.estimator}
    for other in sorted(fit, key=lambda c: _newest_first(c.run)):
        if other.estimator in seen:
            continue
        seen.add(other.estimator)
        if abs(other.pi - chosen.pi) > NUMBER_TOLERANCE:
            yield (
                f"the newest prior is used, pi {chosen.pi:.4f} by {chosen.estimator} (run "
                f"{chosen.run.run_id}); run {other.run.run_id} has pi {other.pi:.4f} by "
                f"{other.estimator}: name it by its id to use it"
            )


def _newest_first(run: Source) -> tuple[int, int, str]:
    turn, start_time = run.age
    return -turn, -start_time, run.run_id


def _newest(
    request: Request, judged: Sequence[tuple[Source, list[str]]], what: str
) -> ChosenRun | Refusals:
    refused = tuple(
        Refused(run.run_id, run.name, run.start_time, tuple(reasons))
        for run, reasons in sorted(judged, key=lambda j: _newest_first(j[0]))
        if reasons
    )
    fit = sorted((run for run, reasons in judged if not reasons), key=_newest_first)
    if not fit:
        if request.spec == "auto":
            reason = f"no fit {what} run for polarity {request.polarity}"
            if not refused:
                reason += f" (no {what} run at all in experiment {request.experiment_id})"
            return Refusals(reason, refused)
        reason = "is not fit" if refused else f"is not a run of {what}, or does not exist"
        return Refusals(f"run {request.spec} {reason} (polarity {request.polarity})", refused)
    tied = [run for run in fit if run.age == fit[0].age]
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
    ours = {
        run.run_id
        for run, _ in judged
        if run.polarity == request.polarity and run.age >= fit[0].age
    }
    newer = [r for r in refused if r.run_id in ours]
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
        return Refusals(
            f"prior {pi:g} for polarity {request.polarity}: {'; '.join(unfit)}; expected a pi "
            f"above s = {request.s_train:.4f} of the training table, and below 1"
        )
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
