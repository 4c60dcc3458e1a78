"""CSV: one record a row, columns by name."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.rna.formats.raw import BROKEN, BadRow, RawRow
from priorwise.rna.formats.streams import stem_of, text_lines

#: columns that are read; others are passed over
SEQUENCE, STRUCTURE, BASE_PAIRS, PARTITION = "sequence", "structure", "base_pairs", "partition"
#: the first of them that there is
FAMILY = ("family", "source")


def read_csv(path: Path) -> Iterator[RawRow | BadRow]:
    """Read a CSV with a header.

    Columns: sequence; structure (brackets) or base_pairs (JSON list of [i, j], counted from 1), an
    empty cell meaning that the structure is not known; if wanted id, family (or source), partition.

    Raises
    ------
    BadInput
        If there is no column `sequence`, or the file is no CSV.
    """
    rows = csv.reader(text_lines(path, newline=""))
    try:
        columns = [name.strip() for name in next(rows, [])]
        if SEQUENCE not in columns:
            found = " ".join(", ".join(columns).split())[:200] or "an empty file"
            raise BadInput(
                f"{path}: no column {SEQUENCE!r} (expected id, sequence, structure or base_pairs, "
                f"family, partition; found {found})"
            )
        twice = {name for name in columns if columns.count(name) > 1}
        if twice:
            raise BadInput(f"{path}: column {min(twice)[:60]!r} is there twice (expected once)")
        line = rows.line_num + 1
        for cells in rows:
            if cells:  # a blank line is none
                yield _record(path, line, columns, cells)
            line = rows.line_num + 1
    except csv.Error as error:
        raise BadInput(f"{path}: line {rows.line_num}: is no CSV ({error})") from error


def _record(path: Path, line: int, columns: list[str], cells: list[str]) -> RawRow | BadRow:
    row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
    name = row.get("id") or f"{stem_of(path)}:{line}"
    if len(cells) != len(columns):
        found = f"{len(cells)} cells (expected {len(columns)}, as in the header)"
        return BadRow(path, line, name, BROKEN, found)
    pairs = None
    if row.get(BASE_PAIRS):
        try:
            pairs = [_pair(cell) for cell in json.loads(row[BASE_PAIRS])]
        except (ValueError, TypeError) as error:
            found = f"base_pairs: {error} (expected JSON such as [[1, 9], [2, 8]])"
            return BadRow(path, line, name, BROKEN, found)
    family = next((row[column] for column in FAMILY if column in row), "")
    return RawRow(
        path,
        line,
        name,
        row[SEQUENCE],
        row.get(STRUCTURE) or None,
        pairs,
        family,
        row.get(PARTITION, ""),
    )


def _pair(cell: object) -> tuple[int, int]:
    if not (isinstance(cell, list) and len(cell) == 2 and all(type(end) is int for end in cell)):
        raise ValueError(f"{cell!r} is no pair")
    return cell[0], cell[1]
