"""CSV files with a line or two per epoch: written whole and at once, read with care."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from priorwise.durable import write_whole
from priorwise.errors import BadInput

Row = dict[str, str]


def write_rows(
    path: Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    line_end: str = "\r\n",
) -> None:
    """Write a file anew: whoever reads it, and whenever this process dies, finds it whole.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made if needed.
    columns : sequence of str
    rows : iterable of mappings
        By column; what is missing is left empty.
    line_end : str

    Raises
    ------
    BadInput
        If it cannot be written, for example on a full disk; the file before is kept.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


@dataclass(frozen=True)
class HistoryFile:
    """What a history file holds.

    Attributes
    ----------
    path : pathlib.Path
    columns : list of str
    rows : list of dict
        Text by column.
    lines : list of int
        Line of the file on which each row ends, from 1.
    dropped : str
        Why the last line was left out; empty if it was not.
    """

    path: Path
    columns: list[str]
    rows: list[Row]
    lines: list[int]
    dropped: str

    def require(self, columns: Iterable[str]) -> None:
        """Refuse a file without these columns.

        Raises
        ------
        BadInput
        """
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise BadInput(
                f"{self.path}: column {', '.join(missing)} is missing "
                f"(found {_short(self.columns)})"
            )

    def numbers(self, column: str) -> list[float]:
        """Values of a column; not a number where nothing was recorded.

        Raises
        ------
        BadInput
            Naming line and column of what is no number.
        """
        found = []
        for row, line in zip(self.rows, self.lines, strict=True):
            text = row[column].strip()
            try:
                found.append(float(text) if text else float("nan"))
            except ValueError:
                raise BadInput(
                    f"{self.path}: line {line}, column {column}: expected a number, got "
                    f"{text[:60]!r}"
                ) from None
        return found

    def epochs(self) -> list[int]:
        """Values of the column `epoch`.

        Raises
        ------
        BadInput
            If one is not a whole number of at least 0.
        """
        numbers = self.numbers("epoch")
        for number, line in zip(numbers, self.lines, strict=True):
            if not (number >= 0 and number.is_integer()):
                raise BadInput(
                    f"{self.path}: line {line}, column epoch: expected a whole number of at least "
                    f"0, got {number}"
                )
        return [int(number) for number in numbers]


def _short(columns: Sequence[str]) -> str:
    """Names for a message, which is to stay one short line whatever a file holds."""
    return " ".join(", ".join(columns).split())[:300]


def read_rows(path: Path) -> HistoryFile:
    """Read a file that a training may still be writing, or was killed while it wrote.

    A last line without its end is left out: even if all its fields are there, the last number may
    be cut short.

    Raises
    ------
    BadInput
        If it cannot be read, is no table, or a line has another number of fields than the first.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not a CSV file (its bytes are not UTF-8)") from error
    dropped = ""
    if text and not text.endswith(("\n", "\r")):
        text, _, half = text.rpartition("\n")
        if text:
            text, dropped = text + "\n", f"{path}: the last line is incomplete and is left out"
        else:
            text = half  # a header alone
    reader = csv.reader(io.StringIO(text, newline=""))
    columns: list[str] = []
    rows: list[Row] = []
    lines: list[int] = []
    try:
        for fields in reader:
            if not fields:
                continue
            if not columns:
                columns = [name.strip() for name in fields]
                continue
            if len(fields) != len(columns):
                raise BadInput(
                    f"{path}: line {reader.line_num} has {len(fields)} fields "
                    f"(expected {len(columns)}, as in the first line)"
                )
            rows.append(dict(zip(columns, fields, strict=True)))
            lines.append(reader.line_num)
    except csv.Error as error:
        raise BadInput(f"{path}: line {reader.line_num} is not CSV ({error})") from error
    if not columns:
        raise BadInput(f"{path}: is empty (expected a CSV file with a header)")
    if len(set(columns)) < len(columns):
        raise BadInput(f"{path}: two columns have the same name ({_short(columns)})")
    return HistoryFile(path, columns, rows, lines, dropped)
