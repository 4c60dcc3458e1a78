"""Dot-bracket files and FASTA: a header line, then the sequence (then the structure)."""

from collections.abc import Iterator
from pathlib import Path

from priorwise.rna.formats.raw import BROKEN, BadRow, RawRow
from priorwise.rna.formats.streams import numbered, stem_of
from priorwise.rna.records import RnaRecord
from priorwise.rna.structure import dot_bracket

#: bpRNA writes the id so, and other facts in lines that begin with # as well
_NAME = "#Name:"


def read_dot_bracket(path: Path) -> Iterator[RawRow | BadRow]:
    """Read records of three lines: `>id` (or bpRNA's `#Name: id`), sequence, structure.

    What follows the structure after a blank (the energy, in RNAfold's output) is passed over. In a
    file without any header line, each two lines are a record.
    """
    name: str | None = None  # None: the record has no header line
    start = 0
    body: list[str] = []
    for line, text in numbered(path):
        if text.startswith((">", _NAME)):
            if start:
                yield _bracket_record(path, start, name, body)
            words = text.removeprefix(">").removeprefix(_NAME).split()
            name, start, body = words[0] if words else "", line, []
        elif not text.startswith("#"):
            start = start or line
            body.append(text)
            if name is None and len(body) == 2:
                yield _bracket_record(path, start, name, body)
                start, body = 0, []
    if start:
        yield _bracket_record(path, start, name, body)


def _bracket_record(path: Path, line: int, name: str | None, body: list[str]) -> RawRow | BadRow:
    name = name or f"{stem_of(path)}:{line}"
    if len(body) != 2:
        found = f"{len(body)} lines (expected two: a sequence and its structure)"
        return BadRow(path, line, name, BROKEN, found)
    return RawRow(path, line, name, body[0], body[1].split()[0])


def read_fasta(path: Path) -> Iterator[RawRow | BadRow]:
    """Read sequences; their structures are not known."""
    name, start = "", 0
    parts: list[str] = []
    for line, text in numbered(path):
        if text.startswith(">"):
            if start:
                yield RawRow(path, start, name, "".join(parts))
            words = text[1:].split()
            name, start, parts = words[0] if words else f"{stem_of(path)}:{line}", line, []
        elif not start:
            found = f"{text[:20]!r} before the first header (expected a line with > first)"
            yield BadRow(path, line, "", BROKEN, found)
            return
        else:
            parts.append(text)
    if start:
        yield RawRow(path, start, name, "".join(parts))


def write_dot_bracket(record: RnaRecord) -> str:
    """Three lines: header, sequence, structure.

    Raises
    ------
    ValueError
        If the structure is not known, or brackets cannot say it.
    """
    if record.pairs is None:
        raise ValueError(f"{record.id}: its structure is not known")
    structure = dot_bracket(len(record.sequence), record.pairs)
    return f">{record.id}\n{record.sequence}\n{structure}\n"
