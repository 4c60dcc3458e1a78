"""The trail of a registered model: what happened to its champion, line by line. No server here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

PREFIX = "audit."
PROMOTE, ROLLBACK, FOUND, UNREADABLE = "promote", "rollback", "found", "unreadable"


@dataclass(frozen=True)
class AuditEntry:
    """One line of the trail.

    Attributes
    ----------
    action : str
        promote, rollback, or found: the champion was another one than the line before says, since
        somebody set or deleted it by hand, or a promotion was cut off before its last step.
    version : str
        The version that the action was about.
    before, after : str
        Version of the champion before and after; empty for none.
    decision : str
        passed, refused, forced, or empty.
    run_id : str
        The run that did it.
    when : str
        UTC, ISO 8601.
    reason : str
        In words.
    """

    action: str
    version: str
    before: str
    after: str
    decision: str = ""
    run_id: str = ""
    when: str = ""
    reason: str = ""


def read_trail(tags: Mapping[str, str]) -> list[AuditEntry]:
    """The lines among the tags of a registered model, oldest first."""
    return [_entry(tags[f"{PREFIX}{number}"]) for number in _numbers(tags)]


def next_line(tags: Mapping[str, str], entry: AuditEntry) -> tuple[str, str]:
    """Key and text of the tag that holds the line after the last one."""
    last = max((int(number) for number in _numbers(tags)), default=0)
    # other scripts as they are: six characters for each would not fit into a tag
    return f"{PREFIX}{last + 1:03d}", json.dumps(asdict(entry), ensure_ascii=False)


def past_champions(trail: Sequence[AuditEntry]) -> list[str]:
    """Champions that a rollback can go back through, oldest first; the last one is in use.

    A promotion adds its version; a rollback removes those that it went back over, so that another
    rollback goes further back and does not toggle. A champion that was deleted or unset by hand is
    removed, one that was set by hand is added.
    """
    line: list[str] = []
    now = ""
    for entry in _readable(trail):
        if entry.after == now:
            continue
        now = entry.after
        if entry.action == ROLLBACK and now in line:
            while line[-1] != now:
                line.pop()
        elif not now:
            line = line[:-1]
        elif line[-1:] != [now]:
            line.append(now)
    return line


def champion_on_record(trail: Sequence[AuditEntry]) -> str:
    """The champion that the last line leaves; empty for none."""
    readable = _readable(trail)
    return readable[-1].after if readable else ""


def _readable(trail: Sequence[AuditEntry]) -> list[AuditEntry]:
    return [entry for entry in trail if entry.action != UNREADABLE]


def _numbers(tags: Mapping[str, str]) -> list[str]:
    found = [key.removeprefix(PREFIX) for key in tags if key.startswith(PREFIX)]
    return sorted((n for n in found if n.isascii() and n.isdigit()), key=int)


def _entry(text: str) -> AuditEntry:
    """One line; of one that somebody spoilt by hand, what can be read."""
    known = {entry.name for entry in fields(AuditEntry)}
    try:
        values = {key: str(value) for key, value in json.loads(text).items() if key in known}
    except (ValueError, AttributeError, RecursionError):
        values = {"action": UNREADABLE, "reason": text[:200]}
    return AuditEntry(**{"action": "", "version": "", "before": "", "after": "", **values})
