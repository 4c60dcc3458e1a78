"""What killed writers left in and beside a table: no reader sees it, and it takes room."""

from dataclasses import dataclass
from pathlib import Path

import lance

from priorwise.store.table_check import needed_files
from priorwise.store.tables import STAGING, open_pinned


@dataclass(frozen=True)
class Orphan:
    """A file, or the folder of a table that was never finished.

    Attributes
    ----------
    path : pathlib.Path
    n_bytes : int
    """

    path: Path
    n_bytes: int


def orphans(uri: str) -> list[Orphan]:
    """What belongs to no version of a local table, sorted by path.

    A writer that is still at work has such files, too: they are for a person to judge.

    Parameters
    ----------
    uri : str
        Path of the table.

    Raises
    ------
    BadInput
        If there is no table.
    """
    newest = open_pinned(uri)
    folder = Path(newest.uri)
    known: set[str] = set()
    for version in newest.dataset.versions():
        known |= {name for name, _ in needed_files(_at(newest.uri, int(version["version"])))}
    found = [
        Orphan(path, path.stat().st_size)
        for inner in ("data", "_deletions")
        for path in (folder / inner).rglob("*")
        if path.is_file() and path.relative_to(folder).as_posix() not in known
    ]
    for beside in folder.parent.glob(f"{STAGING}{folder.name}-*"):
        sizes = [path.stat().st_size for path in beside.rglob("*") if path.is_file()]
        found.append(Orphan(beside, sum(sizes)))
    return sorted(found, key=lambda orphan: orphan.path)


def _at(uri: str, version: int) -> lance.LanceDataset:
    return lance.dataset(uri, version=version)
