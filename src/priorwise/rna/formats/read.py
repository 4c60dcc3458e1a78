"""Reading files of any of the formats into checked records."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from priorwise.errors import BadInput
from priorwise.rna.formats.brackets import read_dot_bracket, read_fasta
from priorwise.rna.formats.connect import read_bpseq, read_ct
from priorwise.rna.formats.raw import DUPLICATE, REASONS, BadRow, RawRow
from priorwise.rna.formats.sound import sound
from priorwise.rna.formats.tabular import read_csv
from priorwise.rna.records import RnaRecord

#: end of a file's name -> its reader; .gz may follow
READERS: dict[str, Callable[[Path], Iterator[RawRow | BadRow]]] = {
    ".csv": read_csv,
    ".dbn": read_dot_bracket,
    ".db": read_dot_bracket,
    ".ct": read_ct,
    ".bpseq": read_bpseq,
    ".fasta": read_fasta,
    ".fa": read_fasta,
}


@dataclass(frozen=True)
class ReadFiles:
    """What came out of some files.

    Attributes
    ----------
    records : list of RnaRecord
        Sound ones, in file order; ids are unique.
    bad : list of BadRow
        The others.
    """

    records: list[RnaRecord]
    bad: list[BadRow]

    @property
    def reasons(self) -> dict[str, int]:
        """Bad records by reason, those that occur."""
        counts = Counter(row.reason for row in self.bad)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}


def ending(path: Path) -> str:
    """The end of the name that tells the format, in lower case; "" if it tells none."""
    name = path.name.lower().removesuffix(".gz")
    return next((end for end in READERS if name.endswith(end)), "")


def read_files(paths: Sequence[Path], bad_rows: Literal["refuse", "drop"]) -> ReadFiles:
    """Read and check every record.

    Parameters
    ----------
    paths : sequence of pathlib.Path
        Files whose names end as in `READERS`, or with .gz behind that.
    bad_rows : {"refuse", "drop"}
        What is done about a record that cannot be used.

    Raises
    ------
    BadInput
        With `refuse`, naming the first bad record. With both, if a file cannot be read at all, or
        no sound record is left.
    """
    records: list[RnaRecord] = []
    bad: list[BadRow] = []
    place_of_id: dict[str, str] = {}
    for path in paths:
        for raw in READERS[ending(path)](path):
            found = sound(raw) if isinstance(raw, RawRow) else raw
            if isinstance(found, RnaRecord) and found.id in place_of_id:
                other = f"that of {place_of_id[found.id]}, too (expected each id once)"
                found = BadRow(raw.file, raw.line, raw.id, DUPLICATE, other)
            if isinstance(found, BadRow):
                bad.append(found)
                continue
            place_of_id[found.id] = f"{raw.file}: line {raw.line}"
            records.append(found)
    if bad and bad_rows == "refuse":
        more = f"; {len(bad) - 1} more such records" if len(bad) > 1 else ""
        raise BadInput(f"{bad[0]}{more} (bad_rows=drop leaves them out)")
    if not records:
        why = f": all {len(bad)} records are bad, the first: {bad[0]}" if bad else ""
        raise BadInput(f"inputs: no record to use in {len(paths)} files{why}")
    return ReadFiles(records, bad)
