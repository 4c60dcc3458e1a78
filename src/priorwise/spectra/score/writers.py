"""Lines as CSV, Parquet or MGF; as mzTab, see `mztab`. The same lines give the same bytes."""

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from priorwise.errors import BadInput
from priorwise.spectra.score.mztab import write_mztab
from priorwise.spectra.score.part import LINE_SCHEMA, one_line, read_parts

#: lines of a row group
_GROUP_ROWS = 1 << 16

Writer = Callable[[Path, list[Path]], None]


def writer_of(out: str) -> Writer:
    """The writer for a file of this name.

    Raises
    ------
    BadInput
        If its suffix names no format.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in WRITERS:
        raise BadInput(f"out: {out} (expected a name that ends in {', '.join(WRITERS)})")
    return WRITERS[suffix]


def needs_peaks(out: str) -> bool:
    """Whether the format holds the MS2 peaks."""
    return Path(out).suffix.lower() == ".mgf"


def rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    """The lines one by one."""
    for batch in batches:
        yield from batch.to_pylist()


def write_csv(target: Path, parts: list[Path]) -> None:
    """Write the lines as CSV in UTF-8; quotes where a value needs them, empty = not known."""
    with target.open("w", encoding="utf-8", newline="") as file:
        # told of both, csv quotes a value with either of them in it
        writer = csv.writer(_LineFeeds(file), lineterminator="\r\n")
        writer.writerow(LINE_SCHEMA.names)
        for row in rows_of(read_parts(parts)):
            writer.writerow([_text(row[name]) for name in LINE_SCHEMA.names])


class _LineFeeds:
    """Ends each row with a line feed alone."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def write_parquet(target: Path, parts: list[Path]) -> None:
    """Write the lines as Parquet."""
    with pq.ParquetWriter(target, LINE_SCHEMA, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for batch in read_parts(parts):
            waiting.append(batch)
            if sum(part.num_rows for part in waiting) >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting, LINE_SCHEMA))
                waiting = []
        writer.write_table(pa.Table.from_batches(waiting, LINE_SCHEMA))


def write_mgf(target: Path, parts: list[Path]) -> None:
    """Write the MS2 scans as MGF, with the fields PRIORWISE_SCORE, _IDENTIFIABLE, _REASON."""
    with target.open("w", encoding="utf-8", newline="") as file:
        for row in rows_of(read_parts(parts)):
            file.write("BEGIN IONS\n")
            for name, value in _mgf_fields(row):
                file.write(f"{name}={value}\n")
            for mz, intensity in zip(row["mz"], row["intensity"], strict=True):
                file.write(f"{mz!r} {intensity!r}\n")
            file.write("END IONS\n\n")


def _mgf_fields(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "TITLE", one_line(row["usi"])
    yield "SCANS", str(row["scan"])
    if row["precursor_mz"] is not None and 0 < row["precursor_mz"] < math.inf:
        yield "PEPMASS", _text(row["precursor_mz"])
    if row["charge"] and row["polarity"]:
        yield "CHARGE", f"{row['charge']}{'+' if row['polarity'] == 'positive' else '-'}"
    if row["polarity"]:
        yield "IONMODE", row["polarity"]
    if row["reason"]:
        yield "PRIORWISE_REASON", row["reason"]
    else:
        yield "PRIORWISE_SCORE", _text(row["probability"])
        yield "PRIORWISE_IDENTIFIABLE", _text(row["identifiable"])


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".mztab": write_mztab,
    ".mgf": write_mgf,
}
