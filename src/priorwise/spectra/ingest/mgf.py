"""MGF peak lists as a stream of scans."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from priorwise.spectra.ingest.library_formats import (
    mgf_blocks,
    polarity_of,
    precursor_of,
    text_lines,
)
from priorwise.spectra.ingest.scan import Scan, checked_number
from priorwise.spectra.ingest.streams import ByteStream, OnBytes

MGF_SUFFIXES = (".mgf", ".mgf.gz")
_SCAN_IN_TITLE = re.compile(r"\bscan[=:](\d+)")
#: of a whole number; Python refuses to read more than 4300
_MOST_DIGITS = 20
_CHARGE = re.compile(r"[+-]?0*([1-9]\d*)[+-]?")


def iter_mgf_scans(
    path: Path,
    *,
    max_decompressed_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[Scan]:
    """Stream the blocks of one MGF file, in file order.

    A block is an MS2 scan unless it says MSLEVEL=1 (as exports of some feature finders do). An
    intact precursor m/z or polarity may be missing: then the scan has none.

    Parameters
    ----------
    path : pathlib.Path
        Plain or gzip.
    max_decompressed_bytes, on_bytes
        See `ingest.streams.ByteStream`.

    Yields
    ------
    Scan
        Numbered by SCANS, else by "scan=N" in TITLE, else by position.

    Raises
    ------
    BadInput
        If the file is damaged.
    """
    with ByteStream(path, max_decompressed_bytes, on_bytes) as stream:
        blocks = mgf_blocks(text_lines(stream, path), path)
        for position, (fields, peaks) in enumerate(blocks):
            yield _scan(fields, peaks, position, path)


def _whole(text: str) -> int | None:
    """The whole number that a text is; None if it is none, or no sane one."""
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def _scan(
    fields: Mapping[str, str], peaks: list[tuple[float, float]], position: int, path: Path
) -> Scan:
    array = np.array(peaks, dtype=np.float64).reshape(-1, 2)
    title = fields.get("TITLE", "")
    in_title = _SCAN_IN_TITLE.search(title)
    number = _whole(fields.get("SCANS", "") or (in_title.group(1) if in_title else ""))
    level = fields.get("MSLEVEL") or fields.get("MS_LEVEL") or "2"
    charge = _CHARGE.fullmatch(fields.get("CHARGE", ""))
    return Scan(
        native_id=title or str(position),
        scan_number=checked_number(position + 1 if number is None else number, path, title),
        ms_level=_whole(level) or 0,
        polarity=polarity_of(fields),
        mz=array[:, 0],
        intensity=array[:, 1],
        precursor_mz=precursor_of(fields),
        settings={"Charge State": float(charge.group(1))} if charge else {},
        numbered_by_position=number is None,
    )
