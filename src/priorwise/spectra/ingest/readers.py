"""mzML and mzXML runs as a stream of scans, plain or gzip, in bounded memory."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.spectra.ingest.acquisition import (
    ionization_of_source,
    mzml_polarity,
    mzml_settings,
    mzxml_settings,
    polarity_from_filter,
)
from priorwise.spectra.ingest.scan import Scan, checked_number
from priorwise.spectra.ingest.streams import ByteStream, OnBytes
from priorwise.spectra.ingest.xml import (
    MzMLElements,
    MzXMLElements,
    decode,
    decoding,
    first_line,
    forget,
    format_of,
    walk,
    without_children,
)

RUN_SUFFIXES = (".mzml", ".mzxml", ".mzml.gz", ".mzxml.gz")
_SCAN_IN_ID = re.compile(r"\bscan(?:Id)?=(\d+)")


def iter_scans(
    path: str | Path,
    *,
    max_decompressed_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[Scan]:
    """Stream the scans of one run, in file order.

    Parameters
    ----------
    path : str or pathlib.Path
        An mzML or mzXML file, plain or gzip.
    max_decompressed_bytes : int, optional
        See `ingest.streams.ByteStream`.
    on_bytes : callable, optional
        Called with the bytes of the file that were read since the last call.

    Yields
    ------
    Scan

    Raises
    ------
    BadInput
        If the file is neither format, is truncated or damaged, or expands beyond the bound.
    """
    path = Path(path)
    with ByteStream(path, max_decompressed_bytes, on_bytes) as stream:
        try:
            scans = _mzml_scans if format_of(stream, path) == "mzML" else _mzxml_scans
            yield from scans(stream, path)
        except BadInput:
            raise
        except etree.XMLSyntaxError as error:
            raise BadInput(
                f"{path}: truncated or not well-formed XML ({first_line(error)})"
            ) from error
        except (EOFError, OSError, ValueError, zlib.error) as error:  # lxml's of names: ValueError
            raise BadInput(f"{path}: truncated or damaged ({first_line(error)})") from error


def _mzml_scans(stream: ByteStream, path: Path) -> Iterator[Scan]:
    reader = MzMLElements(stream)
    stream.seek(0)
    sources: set[str | None] = set()
    position = 0
    for event, element in walk(stream, ("source", "spectrum", "chromatogram", "offset")):
        if event == "start":
            continue
        kind = etree.QName(element).localname
        if kind == "source":
            named = {ionization_of_source(child.get("name", "")) for child in element} - {None}
            sources |= named or {None}
        elif kind == "spectrum":
            name = str(element.get("id", position))
            what = f"spectrum {name[:100]!r}"
            info = decode(reader, element, path, what)
            with decoding(path, what):
                scan = _mzml_scan(info, name, position, path, sources)
            yield scan
            position += 1
            forget(element)
        else:
            forget(element)


def _mzml_scan(
    info: dict[str, Any], name: str, position: int, path: Path, sources: set[str | None]
) -> Scan:
    level = int(info.get("ms level") or 0)
    found = _SCAN_IN_ID.search(name)
    digits = found.group(1) if found else name
    by_position = not digits.isdecimal()
    mz, intensity, problem = _peaks(info)
    declared = info.get("defaultArrayLength")
    if problem is None and declared is not None and len(mz) != int(declared):
        problem = f"{len(mz)} peaks where the file declares {declared}"
    precursor: dict[str, Any] = {}
    ion: dict[str, Any] = {}
    settings: dict[str, float | str] = {}
    if level >= 2:
        precursor = ((info.get("precursorList") or {}).get("precursor") or [{}])[0]
        ion = ((precursor.get("selectedIonList") or {}).get("selectedIon") or [{}])[0]
        settings = mzml_settings(info, precursor, ion)
        _add_source(settings, sources)
    return Scan(
        native_id=name,
        scan_number=checked_number(position + 1 if by_position else int(digits), path, name),
        ms_level=level,
        polarity=mzml_polarity(info),
        mz=mz,
        intensity=intensity,
        precursor_mz=_number(ion.get("selected ion m/z")),
        precursor_ref=precursor.get("spectrumRef"),
        settings=settings,
        numbered_by_position=by_position,
        profile="profile spectrum" in info and "centroid spectrum" not in info,
        problem=problem,
    )


def _mzxml_scans(stream: ByteStream, path: Path) -> Iterator[Scan]:
    reader = MzXMLElements(stream)
    stream.seek(0)
    sources: set[str | None] = set()
    open_scans: list[tuple[Any, bool]] = []  # (element, already given)
    for event, element in walk(stream, ("msIonisation", "scan", "offset")):
        kind = etree.QName(element).localname
        if kind == "msIonisation" and event == "end":
            sources.add(ionization_of_source(element.get("value", "")))
        elif kind == "offset" and event == "end":
            forget(element)
        elif kind == "scan" and event == "start":
            # the peaks of a scan precede the scans nested in it
            if open_scans and not open_scans[-1][1]:
                parent = open_scans[-1][0]
                yield _mzxml_scan(reader, without_children(parent), path, sources)
                open_scans[-1] = (parent, True)
            open_scans.append((element, False))
        elif kind == "scan":
            _, given = open_scans.pop()
            if not given:
                yield _mzxml_scan(reader, element, path, sources)
            forget(element)


def _mzxml_scan(reader: Any, element: Any, path: Path, sources: set[str | None]) -> Scan:
    name = str(element.get("num", ""))
    if not name.isdecimal():
        raise BadInput(f"{path}: a scan has num={name[:100]!r}; expected a whole number")
    what = f"scan {name[:100]}"
    info = decode(reader, element, path, what)
    with decoding(path, what):
        return _scan_of(info, name, path, sources)


def _scan_of(info: dict[str, Any], name: str, path: Path, sources: set[str | None]) -> Scan:
    level = int(info.get("msLevel") or 0)
    mz, intensity, problem = _peaks(info)
    precursor: dict[str, Any] = {}
    settings: dict[str, float | str] = {}
    if level >= 2:
        precursor = (info.get("precursorMz") or [{}])[0]
        if not isinstance(precursor, dict):  # no attributes: pyteomics gives the bare text
            precursor = {"precursorMz": precursor}
        settings = mzxml_settings(info, precursor)
        _add_source(settings, sources)
    sign = str(info.get("polarity") or "")
    polarity = {"+": "positive", "-": "negative"}.get(sign[:1])
    return Scan(
        native_id=name,
        scan_number=checked_number(int(name), path, name),
        ms_level=level,
        polarity=polarity or polarity_from_filter(str(info.get("filterLine") or "")),
        mz=mz,
        intensity=intensity,
        precursor_mz=_number(precursor.get("precursorMz")),
        precursor_ref=precursor.get("precursorScanNum"),
        settings=settings,
        problem=problem,
    )


def _peaks(info: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64], str | None]:
    empty: NDArray[np.float64] = np.empty(0)
    mz = np.asarray(info.get("m/z array", empty), dtype=np.float64)
    intensity = np.asarray(info.get("intensity array", empty), dtype=np.float64)
    problem = None
    if mz.shape != intensity.shape:
        problem = f"{mz.size} m/z values but {intensity.size} intensities"
    return mz, intensity, problem


def _add_source(settings: dict[str, float | str], sources: set[str | None]) -> None:
    """Ionization as the instrument states it, where the scan does not and there is one source."""
    if "Ionization" not in settings and len(sources) == 1:
        (only,) = sources
        if only is not None:
            settings["Ionization"] = only


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
