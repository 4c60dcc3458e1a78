"""From facts about runs to candidates, and from a choice to the files it stands for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from priorwise.errors import PriorNotResolvable
from priorwise.phases.candidates import (
    RECORD,
    RUN_ID,
    ChosenPrior,
    ChosenRun,
    PriorCandidate,
    Refusals,
    Refused,
    Request,
    Source,
)
from priorwise.phases.desk import Desk, say
from priorwise.phases.resolve import choose, choose_run, refusal_table
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.schema import SCHEMA_NAME
from priorwise.tracking.search import History, RunFacts

#: the longest text of a tag, in characters
TAG_CHARS = 5000
#: so many refused candidates are shown; the others are counted
SHOWN = 10


@dataclass(frozen=True)
class Snapshot:
    """All prior and BCE runs of the experiment at one moment: it serves both polarities."""

    priors: tuple[RunFacts, ...]
    pretrained: tuple[RunFacts, ...]


def snapshot(history: History, *explicit: str) -> Snapshot:
    """Read the experiment once; runs named explicitly are added wherever they are."""
    # by id: a run that starts between two pages of the search shifts one into both
    priors = {facts.run_id: facts for facts in history.of_phase("estimate_prior")}
    pretrained = {facts.run_id: facts for facts in history.of_phase("bce_pretrain")}
    for run_id in explicit:
        named = RUN_ID.match(run_id) and run_id not in priors and run_id not in pretrained
        facts = history.run(run_id) if named else None
        if facts and facts.tags.get("phase") == "estimate_prior":
            priors[run_id] = facts
        elif facts and facts.tags.get("phase") == "bce_pretrain":
            pretrained[run_id] = facts
    return Snapshot(tuple(priors.values()), tuple(pretrained.values()))


def request(
    spec: str, polarity: str, train: TableFacts, desk: Desk, override: bool = False
) -> Request:
    """What is asked for, given the training table at hand."""
    return Request(
        spec=spec,
        polarity=polarity,
        digest=train.digest,
        schema=SCHEMA_NAME,
        experiment_id=desk.track.experiment_id,
        version=train.version,
        s_train=train.label_rate(polarity),
        override=override,
    )


def source(facts: RunFacts, history: History, relevant: Callable[[RunFacts], bool]) -> Source:
    """A run as the resolver sees it; its checkpoint is hashed only if it is relevant at all."""
    recorded = facts.tags.get("checkpoint.sha256")
    now = recorded
    if recorded is not None and relevant(facts):
        now = history.checkpoint_sha256(facts)
    return Source(
        run_id=facts.run_id,
        name=facts.name,
        experiment_id=facts.experiment_id,
        start_time=facts.start_time,
        turn=facts.turn,
        status=facts.status,
        deleted=facts.deleted,
        complete=facts.complete,
        phase=facts.params.get("contract.phase", ""),
        polarity=facts.params.get("contract.polarity", ""),
        digest=facts.params.get("contract.data.digest", ""),
        version=_version(facts.params.get("contract.data.version", "")),
        schema=facts.params.get("contract.schema", ""),
        tags=facts.tags,
        checkpoint_recorded=recorded,
        checkpoint_now=now,
        changed=facts.changed,
    )


def _version(text: str) -> int:
    """A version as logged; 0, which no table has, for anything else."""
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _relevant_to(wanted: Request) -> Callable[[RunFacts], bool]:
    """Whether hashing a run's checkpoint could matter: same polarity and data, and not deleted."""
    return lambda facts: (
        facts.complete
        and not facts.deleted
        and facts.params.get("contract.polarity") == wanted.polarity
        and facts.params.get("contract.data.digest") == wanted.digest
    )


def prior_candidates(runs: Snapshot, wanted: Request, history: History) -> list[PriorCandidate]:
    """The snapshot's prior runs, each with the BCE run it came from."""
    relevant = _relevant_to(wanted)
    pretrained = {facts.run_id: facts for facts in runs.pretrained}
    candidates = []
    for facts in runs.priors:
        bce_id = facts.params.get("contract.upstream.bce", "")
        bce = pretrained.get(bce_id) or (history.run(bce_id) if bce_id else None)
        times = history.history_lengths(facts.run_id, RECORD) if relevant(facts) else {}
        candidates.append(
            PriorCandidate(
                run=source(facts, history, relevant),
                **{name: facts.metrics.get(name, math.nan) for name in RECORD},
                history=times,
                bce=source(bce, history, relevant) if bce else None,
                bce_checkpoint=facts.params.get("record.bce_checkpoint", ""),
                estimator=facts.params.get("record.estimator", ""),
                n_labelled=facts.metrics.get("n_labelled", math.nan),
                score_low=facts.metrics.get("score.min", math.nan),
                score_high=facts.metrics.get("score.max", math.nan),
                intervals=_intervals(facts),
            )
        )
    return candidates


def _intervals(facts: RunFacts) -> dict[str, tuple[float, float]]:
    """The intervals of a prior run, by the name of the value."""
    found = {}
    for name in ("c", "pi", "alpha"):
        low, high = (facts.metrics.get(f"{name}.{end}", math.nan) for end in ("low", "high"))
        if math.isfinite(low) and math.isfinite(high):
            found[name] = (low, high)
    return found


def pretrained_sources(runs: Snapshot, wanted: Request, history: History) -> list[Source]:
    """The snapshot's BCE runs as the resolver sees them."""
    relevant = _relevant_to(wanted)
    return [source(facts, history, relevant) for facts in runs.pretrained]


def resolve_prior(wanted: Request, runs: Snapshot, desk: Desk) -> ChosenPrior:
    """The prior to use.

    Raises
    ------
    PriorNotResolvable
        With a table of every candidate and the reason it was refused.
    """
    history = desk.track.history
    candidates = prior_candidates(runs, wanted, history)
    chosen = choose(wanted, candidates, pretrained_sources(runs, wanted, history))
    if isinstance(chosen, Refusals):
        raise PriorNotResolvable(refusal_table(chosen))
    by = f" ({chosen.estimator})" if chosen.estimator else ""
    origin = f"run {chosen.run_id}{by}" if chosen.run_id else "a number given by the user"
    say(
        f"prior {wanted.polarity}: pi {chosen.pi:.4f} (c {chosen.c:.4f}, s {chosen.s:.4f}) "
        f"from {origin}"
    )
    _report(chosen.skipped, chosen.warnings)
    return chosen


def resolve_bce(wanted: Request, runs: Snapshot, desk: Desk) -> tuple[ChosenRun, RunFacts]:
    """The BCE run to build on.

    Raises
    ------
    PriorNotResolvable
        With a table of every candidate and the reason it was refused.
    """
    candidates = pretrained_sources(runs, wanted, desk.track.history)
    chosen = choose_run(wanted, candidates, "bce_pretrain")
    if isinstance(chosen, Refusals):
        raise PriorNotResolvable(refusal_table(chosen))
    say(f"BCE run {wanted.polarity}: {chosen.run.run_id} ({chosen.run.name})")
    _report(chosen.skipped, chosen.warnings)
    facts = next(f for f in runs.pretrained if f.run_id == chosen.run.run_id)
    return chosen, facts


def _report(skipped: Sequence[Refused], warnings: Sequence[str]) -> None:
    for warning in warnings:
        say(f"warning: {warning}")
    others = [
        r
        for r in skipped
        # a run for the other polarity is not unfit, it is another one's
        if not any("for polarity" in reason for reason in r.reasons)
        and not any(r.run_id in warning for warning in warnings)
    ]
    for r in others[:SHOWN]:
        say(f"  skipped {r.run_id} ({r.name}): {'; '.join(r.reasons)}")
    if len(others) > SHOWN:
        say(f"  ({len(others) - SHOWN} other unfit candidates skipped)")


def skipped_tag(*choices: ChosenPrior | ChosenRun) -> dict[str, str]:
    """The tag `resolve.skipped`: unfit candidates newer than what was chosen.

    Any other warning goes to the tag `resolve.warnings`.
    """
    lines = list(dict.fromkeys(w for choice in choices for w in choice.warnings))
    newer = [line for line in lines if line.startswith("newer ")]
    others = [line for line in lines if not line.startswith("newer ")]
    tags = {"resolve.skipped": newer, "resolve.warnings": others}
    return {name: _joined(lines) for name, lines in tags.items() if lines}


def _joined(lines: Sequence[str]) -> str:
    text = " | ".join(lines)
    end = f" ... (cut; {len(lines)} in all)"
    return text if len(text) <= TAG_CHARS else text[: TAG_CHARS - len(end)] + end


def checkpoint_of(facts: RunFacts, desk: Desk) -> Path:
    """Verified local copy of a run's best checkpoint."""
    return desk.track.history.checkpoint(facts)
