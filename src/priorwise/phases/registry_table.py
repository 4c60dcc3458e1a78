"""What `promote action=show` prints: versions side by side, and the audit."""

from collections.abc import Mapping

import pandas as pd

from priorwise.tracking.audit import UNREADABLE, AuditEntry
from priorwise.tracking.registry import VersionFacts

#: heading -> tag of a version, before and after those of the pipeline
FIRST = {"decision": "decision"}
LAST = {"threshold": "threshold", "rule": "rule", "evaluated on": "eval.digest"}
SHORT = 8


def version_table(
    versions: list[VersionFacts], aliases: dict[str, str], judged: Mapping[str, str]
) -> pd.DataFrame:
    """One row per version, newest first; all cells are text.

    Parameters
    ----------
    judged : mapping of heading -> tag
        The pipeline's own columns.
    """
    columns = {**FIRST, **judged, **LAST}
    rows = []
    for facts in versions:
        named = [alias for alias, version in sorted(aliases.items()) if version == facts.version]
        row = {"version": facts.version, "alias": ", ".join(named)}
        for heading, tag in columns.items():
            row[heading] = _cell(heading, facts.tags.get(tag, ""))
        row["status"] = facts.status
        row["model"] = facts.model_id
        row["decided"] = facts.tags.get("decided.at", "")
        rows.append(row)
    return pd.DataFrame(rows, columns=["version", "alias", *columns, "status", "model", "decided"])


def audit_lines(trail: list[AuditEntry]) -> list[str]:
    """The audit, oldest line first."""
    lines = []
    for number, entry in enumerate(trail, 1):
        before, after = entry.before or "none", entry.after or "none"
        change = f"champion {before} -> {after}" if before != after else f"champion stays {after}"
        if entry.action == UNREADABLE:
            change = "somebody spoilt this line"
        what = f"{entry.action} {entry.decision}".strip()
        about = f"version {entry.version}" if entry.version else ""
        words = (f"{number:03d}", entry.when, f"{what:<16}", f"{about:<11}", change)
        run = f"run {entry.run_id}" if entry.run_id else ""
        lines.append(_plain("  ".join([*words, run, entry.reason]).rstrip()))
    return lines


def _plain(line: str) -> str:
    """One line, whatever a tag holds: nothing in it moves the cursor or colours a terminal."""
    return "".join(c if c.isprintable() else " " for c in line)


def _cell(heading: str, text: str) -> str:
    if heading == "evaluated on":
        return text[:SHORT]
    try:
        return f"{float(text):.4f}"
    except ValueError:
        return text
