"""Records as they stand in a file, and why one of them cannot be used."""

from dataclasses import dataclass
from pathlib import Path

EMPTY = "empty sequence"
LETTER = "letter outside ACGUN"
LENGTHS = "sequence and structure of unequal length"
BRACKETS = "unbalanced brackets"
PAIR = "pair out of range"
DUPLICATE = "duplicate id"
PARTITION = "unknown partition"
BROKEN = "broken record"

#: the whole vocabulary, in the order in which a record is checked
REASONS = (BROKEN, EMPTY, LETTER, LENGTHS, BRACKETS, PAIR, PARTITION, DUPLICATE)


@dataclass(frozen=True)
class RawRow:
    """One record, unchecked.

    Attributes
    ----------
    file : pathlib.Path
    line : int
        Where the record begins, counted from 1.
    id, sequence : str
    structure : str or None
        In brackets; None = the record has none.
    pairs : list of (int, int) or None
        Positions counted from 1, in any order; None = the record has none.
    family, partition : str
    """

    file: Path
    line: int
    id: str
    sequence: str
    structure: str | None = None
    pairs: list[tuple[int, int]] | None = None
    family: str = ""
    partition: str = ""


@dataclass(frozen=True)
class BadRow:
    """A record that cannot be used.

    Attributes
    ----------
    file : pathlib.Path
    line : int
        Where the record begins, counted from 1.
    id : str
        Empty if it has none.
    reason : str
        One of `REASONS`.
    detail : str
        What was found and what was expected.
    """

    file: Path
    line: int
    id: str
    reason: str
    detail: str

    def __str__(self) -> str:
        name = f" ({self.id[:100]})" if self.id else ""
        text = f"{self.file}: line {self.line}{name}: {self.reason}: {self.detail[:500]}"
        return " ".join(text.split())  # a quoted cell may hold line breaks
