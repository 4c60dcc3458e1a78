"""Whether an interrupted run may go on, and what has changed since it was interrupted."""

from dataclasses import asdict
from typing import Any

from priorwise.errors import BadInput
from priorwise.phases.desk import TABLES, Desk, Plan, say
from priorwise.tracking.fingerprint import NOT_FINGERPRINTED, source_digest
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import CHANGED, CHANGED_PARAM, RunFacts

#: characters of a digest that a line shows
SHOWN = 8


def go_on(phase: Any, plan: Plan, desk: Desk, run_id: str) -> None:
    """Take an interrupted run up again; one that is complete is left alone.

    Raises
    ------
    BadInput
        If it is another kind of run, or configuration, data or source have changed since and that
        is not allowed.
    """
    changed = allowed_changes(plan, desk, run_id)
    if changed is None:
        return
    with desk.track.continuing(run_id) as track:
        if changed:
            _tell(changed, track)
        phase.run(plan, desk, track)


def allowed_changes(plan: Plan, desk: Desk, run_id: str) -> dict[str, str] | None:
    """What has changed, and may, since a run was interrupted; None if the run is complete."""
    facts = desk.track.history.run(run_id)
    if facts is None or facts.deleted:
        raise BadInput(f"resume: run {run_id} does not exist or is deleted")
    if facts.params.get("contract.phase") != plan.phase:
        found = facts.params.get("contract.phase", "unknown")
        raise BadInput(f"resume: run {run_id} is of phase {found} (expected {plan.phase})")
    if facts.complete:
        say(f"run {run_id} is complete already: nothing to resume")
        return None
    changed = changes(plan, facts)
    said = "; ".join(changed.values())
    if changed and not plan.config.allow_change:
        raise BadInput(
            f"resume: run {run_id} was started with another configuration, data, source or prior "
            f"({said}); give back the former{_former_rows(changed, facts)}, start a new run, or "
            "resume with allow_change=true"
        )
    fixed = sorted(changed.keys() - _changeable(plan))
    if fixed:
        raise BadInput(
            f"resume: run {run_id} cannot go on with another {', '.join(fixed)} "
            f"({'; '.join(changed[name] for name in fixed)}); start a new run instead"
        )
    say(f"resuming run {run_id}{f' although this has changed: {said}' if changed else ''}")
    return changed


def _former_rows(changed: dict[str, str], facts: RunFacts) -> str:
    """How rows are given back; Lance keeps the version, which a run that is not complete needs."""
    version = facts.params.get("contract.data.version", "")
    if "data" not in changed or not version:
        return ""
    return f" (rows: lance.dataset(TABLE, version={version}).restore())"


def _tell(changed: dict[str, str], track: RunTrack) -> None:
    """Put on a run what has changed: it is never taken for work that was not disturbed."""
    facts = track.history.run(track.run_id)
    said = "; ".join(changed.values())
    before = facts.tags.get(CHANGED) if facts else None
    track.tags({CHANGED: f"{before} | {said}" if before else said})
    # a param cannot be removed
    times = sum(name.startswith(CHANGED_PARAM) for name in facts.params) if facts else 0
    track.params({f"{CHANGED_PARAM}.{times + 1}": ", ".join(changed)})


def changes(plan: Plan, facts: RunFacts) -> dict[str, str]:
    """What has changed since a run began: name -> words; empty if its fingerprint is the plan's."""
    if facts.params.get("contract.fingerprint") == plan.fingerprint:
        return {}
    found: dict[str, str] = {}
    for name, value in asdict(plan.config).items():
        before = facts.params.get(f"cfg.{name}")
        if name not in NOT_FINGERPRINTED and before is not None and before != str(value):
            found[name] = f"{name} {before} -> {value}"
    tables = facts.params.get(TABLES, "")
    if tables != plan.table_digests():
        version = facts.params.get("contract.data.version", "?")
        now = plan.contract().get("data.version", "?")
        found["data"] = (
            f"data {_short(tables)} (version {version}) -> {_short(plan.table_digests())} "
            f"(version {now})"
        )
    for tag, run in plan.upstream.items():
        before = facts.params.get(f"contract.{tag}")
        if before != run:
            found[tag] = f"{tag} {before} -> {run}"
    if facts.tags.get("source.digest") != source_digest():
        found["source"] = "source code or pins"
    if not found:
        found["upstream"] = "what it builds on: a prior, or a checkpoint"
    return found


def _changeable(plan: Plan) -> frozenset[str]:
    own: Any = getattr(plan.config, "CHANGEABLE", frozenset())
    return frozenset(own) | {"data", "source"}


def _short(tables: str) -> str:
    words = [part.rpartition(" ") for part in tables.split(", ") if part]
    return ", ".join(f"{role} {digest[:SHOWN]}" for role, _, digest in words) or "unknown"
