"""Is all here that runs need, and would anything be lost? Tried out; nothing is left behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from priorwise.errors import BadInput, PriorwiseError, TrackingFailure
from priorwise.phases.checks import within, writable_file
from priorwise.phases.desk import say
from priorwise.phases.examinations import (
    Check,
    of_environment,
    of_orphans,
    of_stores,
    of_tables,
)
from priorwise.store.addresses import is_remote

COLUMNS = ("check", "state", "what was found", "what to do")


@dataclass(frozen=True)
class Doctor:
    """Parameters of `doctor`.

    Attributes
    ----------
    data : str
        Folder or s3:// address of tables to look at, too: every file of them is read; empty for
        none.
    seed : int
        Accepted as in every phase; nothing here is random.
    config : str
        Recipe YAML; empty for none.
    out : str
        File for the table (CSV); empty for none.
    """

    data: str = ""
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        within("seed", self.seed, 0, 2**63)
        if self.data and not is_remote(self.data) and not _is_folder(self.data):
            raise BadInput(f"data: {self.data}: expected a folder, or an address s3://bucket/key")
        if self.out:
            writable_file("out", Path(self.out))


Config = Doctor


def _is_folder(text: str) -> bool:
    try:
        return Path(text).is_dir()
    except OSError:  # a name that is too long
        return False


def examine(config: Doctor) -> None:
    """Look at everything, print the table, and end badly if something is bad.

    This phase has no run of its own: the store may be what is broken, and a run would stay.

    Raises
    ------
    TrackingFailure
        If a store cannot be used.
    BadInput
        If anything else would lose data.
    """
    data = config.data
    checks = [*of_environment(), *of_stores(data), *of_tables(data), *of_orphans(data)]
    say(as_text(checks))
    if config.out:
        rows = [(check.name, check.state, check.found, check.todo) for check in checks]
        pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(config.out, index=False)
    bad = [check for check in checks if check.state == "bad"]
    if bad:
        names = ", ".join(dict.fromkeys(check.name for check in bad))
        failure: type[PriorwiseError] = BadInput
        if any(check.code == TrackingFailure.exit_code for check in bad):
            failure = TrackingFailure
        raise failure(f"{len(bad)} of {len(checks)} checks are bad: {names} (see the table)")


def as_text(checks: Sequence[Check]) -> str:
    """The table, aligned."""
    rows = [COLUMNS, *((c.name, c.state, " ".join(c.found.split()), c.todo) for c in checks)]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = []
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[3]]).rstrip())
    return "\n".join(lines)
