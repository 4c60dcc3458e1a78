"""The real data of the RNA benchmark: bpRNA with its partitions and the cut, and ArchiveII.

Nothing is made up where a file is missing: the benchmark ends with a line that says so.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from priorwise.rna.alphabet import normalise
from priorwise.rna.partitions import cut_out
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of

ROOT = Path(__file__).resolve().parents[1]
BPRNA, ARCHIVE = "bprna.csv", "archiveII.csv"
#: bases of the longest sequence of bpRNA that is used
LONGEST = 99


def default_folder() -> Path:
    """Where the shared data are looked for."""
    shared = Path(os.environ.get("PRIORWISE_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "rna"


@dataclass(frozen=True)
class Source:
    """Files of the data.

    Attributes
    ----------
    given : pathlib.Path
        Folder with bprna.csv and archiveII.csv; or one CSV that stands for one of them: for
        ArchiveII if it has no column `partition`.
    """

    given: Path

    def bprna(self) -> Path:
        """File with the partitions."""
        return self._file(BPRNA, with_partitions=True)

    def archive(self) -> Path:
        """File of ArchiveII."""
        return self._file(ARCHIVE, with_partitions=False)

    def _file(self, name: str, with_partitions: bool) -> Path:
        if self.given.is_file():
            has = "partition" in pd.read_csv(self.given, nrows=0).columns
            path = self.given if has == with_partitions else self.given.parent / name
        else:
            path = self.given / name
        if not path.is_file():
            raise SystemExit(
                f"error: {path} is not there (expected the RNA data: name their folder with "
                "--data, or set PRIORWISE_SHARED to the folder that holds data/rna)"
            )
        return path


@lru_cache(maxsize=4)
def bprna(path: Path, longest: int, cut: float, cut_seed: int) -> RnaRows:
    """All rows of at most `longest` bases; CUT is cut out of TR0 as `rna_prepare` does it.

    Parameters
    ----------
    path : pathlib.Path
        CSV with columns id, sequence, structure, source, partition.
    longest : int
    cut : float
        Share of TR0.
    cut_seed : int
    """
    table = _read(path, ("id", "sequence", "structure", "partition"))
    families = table["source"] if "source" in table else pd.Series("", index=table.index)
    records = _records(table, families, table["partition"], longest)
    return RnaRows.build(cut_out(records, cut, cut_seed))


def archive(
    path: Path, longest: int, n_train: int, n_test: int, seed: int
) -> tuple[RnaRows, RnaRows]:
    """Two random parts of ArchiveII without common sequences; families are in both.

    Of equal sequences the first one is kept.
    """
    table = _read(path, ("id", "sequence", "structure", "family"))
    table = table.drop_duplicates("sequence")
    rows = RnaRows.build(_records(table, table["family"], table["family"], longest))
    order = np.random.default_rng(seed).permutation(len(rows))
    if len(rows) < n_train + n_test:
        raise SystemExit(
            f"error: {path}: {len(rows)} different sequences of at most {longest} bases (expected "
            f"{n_train} to train on and {n_test} to test with)"
        )
    return rows.take(order[:n_train]), rows.take(order[n_train : n_train + n_test])


def part(rows: RnaRows, partitions: Iterable[str], limit: int, seed: int) -> RnaRows:
    """Rows of some partitions, in table order; of each at most `limit` random ones, if not 0."""
    chosen = []
    for name in partitions:
        own = np.flatnonzero(np.array([p == name for p in rows.partitions], bool))
        if limit and limit < len(own):
            own = np.random.default_rng(seed).permutation(own)[:limit]
        chosen.append(np.sort(own))
    found = rows.take(np.concatenate(chosen))
    if not len(found):
        raise SystemExit(f"error: the data have no rows of {', '.join(partitions)}")
    return found


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = pd.read_csv(path)
    missing = [name for name in columns if name not in table]
    if missing:
        raise SystemExit(f"error: {path}: no column {missing[0]} (expected {', '.join(columns)})")
    return table


def _records(
    table: pd.DataFrame, families: pd.Series, partitions: pd.Series, longest: int
) -> list[RnaRecord]:
    """Records that are short enough; letters that stand for several bases are read as N."""
    records, ambiguous = [], 0
    columns = (table["id"], table["sequence"], table["structure"], families, partitions)
    for name, sequence, structure, family, partition in zip(*columns, strict=True):
        if len(sequence) > longest:
            continue
        text = re.sub("[^ACGTU]", "N", sequence.upper())
        ambiguous += text != sequence.upper()
        try:
            if len(structure) != len(sequence):
                raise ValueError(f"{len(structure)} characters for {len(sequence)} bases")
            pairs = pairs_of(structure)
        except ValueError as error:
            raise SystemExit(f"error: {name}: structure: {error}") from error
        records.append(RnaRecord(name, normalise(text), pairs, str(family), str(partition)))
    if ambiguous:
        print(f"{ambiguous} sequences have letters other than A, C, G and U: read as N")
    return records
