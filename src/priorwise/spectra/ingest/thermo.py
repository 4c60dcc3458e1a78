"""Thermo RAW files as a stream of scans, read by opentfraw (the extra `raw`).

Its list of known faults is heeded where a scan would be taken for another: `is_dia` only says that
a scan was not triggered by data, and a precursor m/z below 1 Th is a misread one.
"""

import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from priorwise.errors import BadInput
from priorwise.spectra.ingest.acquisition import thermo_settings
from priorwise.spectra.ingest.scan import Scan, checked_number
from priorwise.spectra.ingest.streams import ByteStream, OnBytes
from priorwise.spectra.ingest.xml import first_line

THERMO_SUFFIXES = (".raw", ".raw.gz")
_MAGIC = b"\x01\xa1F\0i\0n\0n\0i\0g\0a\0n\0"


def opentfraw(where: object) -> Any:
    """Give the reader's module.

    Parameters
    ----------
    where : path or str
        The file that needs it.

    Raises
    ------
    BadInput
        If it is not installed.
    """
    try:
        import opentfraw as module
    except ImportError as error:
        raise BadInput(
            f"{where}: Thermo RAW files need the extra `raw` (pip install opentfraw==3.1.0, or "
            "`pip install -e '.[raw]'` in the project)"
        ) from error
    return module


def iter_raw_scans(
    path: Path,
    *,
    scratch: Path | None = None,
    max_decompressed_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[Scan]:
    """Stream the scans of one Thermo RAW file, in scan order.

    Parameters
    ----------
    path : pathlib.Path
        Plain, or gzip: then it is unpacked to a temporary file for the time of reading.
    scratch : pathlib.Path, optional
        Folder for that file (the system's own if not given).
    max_decompressed_bytes, on_bytes
        See `ingest.streams.ByteStream`; of a plain file the bytes are told evenly over the scans.

    Yields
    ------
    Scan

    Raises
    ------
    BadInput
        If opentfraw is not installed, or the file is not a Thermo RAW file or is damaged.
    """
    module = opentfraw(path)
    with ByteStream(path, max_decompressed_bytes) as stream:
        try:
            if stream.read(len(_MAGIC)) != _MAGIC:
                raise BadInput(f"{path}: is not a Thermo RAW file (its first bytes differ)")
        except (EOFError, OSError, zlib.error) as error:
            raise BadInput(f"{path}: truncated or damaged ({first_line(error)})") from error
    if not stream.zipped:
        yield from _scans(module, path, path, on_bytes)
        return
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".raw") as whole:
        with ByteStream(path, max_decompressed_bytes, on_bytes) as stream:
            try:
                shutil.copyfileobj(stream, whole, 1 << 20)
            except (EOFError, OSError, zlib.error) as error:
                raise BadInput(f"{path}: truncated or damaged ({first_line(error)})") from error
        whole.flush()
        yield from _scans(module, Path(whole.name), path, None)


def _scans(module: Any, place: Path, path: Path, on_bytes: OnBytes | None) -> Iterator[Scan]:
    try:
        file = module.RawFile(str(place))
        numbers = range(file.first_scan, file.last_scan + 1)
    except (OSError, ValueError, LookupError) as error:
        raise BadInput(f"{path}: cannot be read as Thermo RAW ({first_line(error)})") from error
    size, told = place.stat().st_size, 0
    for position, number in enumerate(numbers, start=1):
        try:
            scan = file.scan(number)
            trailer = file.scan_parameters(number) or {}
        except (OSError, ValueError, LookupError) as error:
            raise BadInput(
                f"{path}: scan {number}: cannot be read ({first_line(error)})"
            ) from error
        yield _scan(scan, trailer, path)
        here = size * position // len(numbers)
        if on_bytes is not None and here > told:
            on_bytes(here - told)
            told = here


def _scan(scan: dict[str, Any], trailer: dict[str, Any], path: Path) -> Scan:
    number, level = int(scan["scan_number"]), int(scan["ms_level"] or 0)
    precursor, master = scan["precursor_mz"], scan["master_scan_number"]
    believed = level >= 2 and precursor is not None and not 0 <= precursor < 1
    return Scan(
        native_id=str(number),
        scan_number=checked_number(number, path, str(number)),
        ms_level=level,
        polarity={"+": "positive", "-": "negative"}.get(str(scan["polarity"])),
        mz=np.asarray(scan["mz"], dtype=np.float64),
        intensity=np.asarray(scan["intensity"], dtype=np.float64),
        precursor_mz=float(precursor) if believed else None,
        precursor_ref=str(master) if level >= 2 and master else None,
        settings=thermo_settings(scan, trailer) if level >= 2 else {},
    )
