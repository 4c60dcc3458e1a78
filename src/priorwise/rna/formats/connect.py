"""CT and BPSEQ: one line a base, with the number of its partner."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from priorwise.rna.formats.raw import BROKEN, PAIR, BadRow, RawRow
from priorwise.rna.formats.streams import numbered, stem_of
from priorwise.rna.records import RnaRecord

#: mfold and RNAstructure put the energy before the name
_ENERGY = re.compile(r"^(ENERGY|dG)\s*=\s*\S+\s*", re.IGNORECASE)
_MOST_DIGITS = 9
#: what stands above the bases in the files of the Comparative RNA Web Site
_BPSEQ_HEADER = re.compile(r"^(#|[A-Za-z ]+:)")


def read_ct(path: Path) -> Iterator[RawRow | BadRow]:
    """Read connectivity tables: a line with length and name, then a line for each base.

    A base's line: number, base, number before, number after, partner (0 = none), number again.
    Several tables may follow one another.
    """
    lines = ((n, text) for n, text in numbered(path) if not text.startswith("#"))
    for start, header in lines:
        size, *title = header.split(maxsplit=1)
        name = " ".join(_ENERGY.sub("", "".join(title)).split()) or stem_of(path)
        if not _is_whole(size):
            found = f"{header[:40]!r} (expected the number of bases and a name)"
            yield BadRow(path, start, "", BROKEN, f"{found}; the rest of the file is not read")
            return
        bases = []
        for number in range(1, int(size) + 1):
            line, text = next(lines, (0, ""))
            cells = text.split()
            base = _base(cells, number, base_at=1, partner_at=4)
            if base is None:
                where = f"line {line}: {text[:40]!r}" if line else "the file ends"
                found = f"{where} (expected base {number} of {size}: number base - - partner)"
                yield BadRow(path, start, name, BROKEN, f"{found}; the rest is not read")
                return
            bases.append(base)
        yield _record(path, start, name, bases)


def read_bpseq(path: Path) -> Iterator[RawRow | BadRow]:
    """Read one structure, a line for each base: number, base, partner (0 = none)."""
    lines = [(n, text) for n, text in numbered(path) if not _BPSEQ_HEADER.match(text)]
    start = lines[0][0] if lines else 1
    bases = []
    for number, (line, text) in enumerate(lines, start=1):
        base = _base(text.split(), number, base_at=1, partner_at=2)
        if base is None:
            found = f"line {line}: {text[:40]!r} (expected base {number}: number base partner)"
            yield BadRow(path, start, stem_of(path), BROKEN, found)
            return
        bases.append(base)
    yield _record(path, start, stem_of(path), bases)


def _base(cells: list[str], number: int, base_at: int, partner_at: int) -> tuple[str, int] | None:
    """Letter and partner of the base `number`; None if the line is not that base's."""
    if len(cells) <= partner_at or cells[0] != str(number) or len(cells[base_at]) != 1:
        return None
    partner = cells[partner_at]
    return (cells[base_at], int(partner)) if _is_whole(partner) else None


def _is_whole(text: str) -> bool:
    """Whether a text is a whole number of a sane size: Python reads at most 4300 digits."""
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _record(path: Path, line: int, name: str, bases: Sequence[tuple[str, int]]) -> RawRow | BadRow:
    for number, (_, partner) in enumerate(bases, start=1):
        if partner > len(bases):
            found = f"{number}-{partner} in a sequence of {len(bases)}"
            return BadRow(path, line, name, PAIR, f"{found} (expected a base of it, or 0)")
        if partner and (partner == number or bases[partner - 1][1] != number):
            other = bases[partner - 1][1]
            found = f"base {number} names {partner} as its partner, {partner} names {other}"
            return BadRow(path, line, name, PAIR, f"{found} (expected each other)")
    pairs = [(i, j) for i, (_, j) in enumerate(bases, start=1) if i < j]
    return RawRow(path, line, name, "".join(letter for letter, _ in bases), None, pairs)


def write_ct(record: RnaRecord) -> str:
    """A connectivity table.

    Raises
    ------
    ValueError
        If the structure is not known, or a base has several partners.
    """
    size, partner = len(record.sequence), _partners(record)
    lines = [f"{size}\t{record.id}"]
    for i, base in enumerate(record.sequence, start=1):
        after = i + 1 if i < size else 0
        lines.append(f"{i}\t{base}\t{i - 1}\t{after}\t{partner[i]}\t{i}")
    return "\n".join(lines) + "\n"


def write_bpseq(record: RnaRecord) -> str:
    """A BPSEQ file; its name is to be the id.

    Raises
    ------
    ValueError
        If the structure is not known, or a base has several partners.
    """
    partner = _partners(record)
    bases = enumerate(record.sequence, start=1)
    return "".join(f"{i} {base} {partner[i]}\n" for i, base in bases)


def _partners(record: RnaRecord) -> list[int]:
    """Partner of each base counted from 1, 0 for none; the list begins with a place for 0."""
    if record.pairs is None:
        raise ValueError(f"{record.id}: its structure is not known")
    partner = [0] * (len(record.sequence) + 1)
    for i, j in (record.pairs + 1).tolist():
        if partner[i] or partner[j]:
            base = i if partner[i] else j
            raise ValueError(f"{record.id}: base {base} has several partners (expected one)")
        partner[i], partner[j] = j, i
    return partner
