"""MGF and MSP spectral libraries as a stream of entries, plain or gzip."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.spectra.ingest.streams import ByteStream, OnBytes

LIBRARY_SUFFIXES = (".mgf", ".msp", ".mgf.gz", ".msp.gz")

#: the fields that hold the same thing in MassBank, GNPS, MoNA and NIST files, best first
_ACCESSION = ("SPECTRUMID", "SPECTRUM_ID", "ACCESSION", "DB#", "IDENTIFIER", "TITLE", "NISTNO")
_NAME = ("COMPOUND_NAME", "NAME", "TITLE")
_PRECURSOR = ("PEPMASS", "PRECURSORMZ", "PRECURSOR_MZ", "PRECURSOR M/Z")
_MODE = ("IONMODE", "ION_MODE", "ION MODE", "POLARITY")
_ADDUCT = ("ADDUCT", "PRECURSORTYPE", "PRECURSOR_TYPE")
#: of a number of peaks
_MOST_DIGITS = 9
_POLARITIES = {"positive": "positive", "pos": "positive", "p": "positive", "+": "positive"}
_POLARITIES |= {"negative": "negative", "neg": "negative", "n": "negative", "-": "negative"}


@dataclass(frozen=True, slots=True)
class LibraryEntry:
    """One spectrum of a library.

    Parameters
    ----------
    accession, compound_name, license : str
        As the library states them, "" where it does not.
    precursor_mz : float or None
        In Th.
    polarity : str or None
        "positive" or "negative": the ion mode, else the sign of the charge, else of the adduct.
    peaks : numpy.ndarray of shape (n_peaks, 2), float64
        m/z and intensity, sorted by m/z, unfiltered.
    """

    accession: str
    compound_name: str
    license: str
    precursor_mz: float | None
    polarity: str | None
    peaks: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Match:
    """The best library hit of a scan."""

    accession: str
    compound_name: str
    license: str
    cosine: float
    matched_peaks: int


def iter_entries(
    path: str | Path,
    *,
    max_decompressed_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[LibraryEntry]:
    """Stream the entries of a library, in file order.

    Raises
    ------
    BadInput
        If the file is neither MGF nor MSP by name, is damaged, or has an unreadable peak; the
        message names the line.
    """
    path = Path(path)
    if not path.name.lower().endswith(LIBRARY_SUFFIXES):
        raise BadInput(f"{path}: a library is a .mgf or .msp file, plain or .gz")
    with ByteStream(path, max_decompressed_bytes, on_bytes) as stream:
        lines = text_lines(stream, path)
        if ".mgf" in path.name.lower()[-7:]:
            yield from (_entry(fields, peaks) for fields, peaks in mgf_blocks(lines, path))
        else:
            yield from _msp(lines, path)


def text_lines(stream: ByteStream, path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line.

    Raises
    ------
    BadInput
        If the file ends early or is damaged.
    """
    number = 0
    try:
        while line := stream.readline():
            number += 1
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
    except (EOFError, OSError, zlib.error) as error:
        raise BadInput(f"{path}: line {number + 1}: truncated or damaged ({error})") from error


def mgf_blocks(
    lines: Iterator[tuple[int, str]], path: Path
) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
    """Fields (names in capitals) and peaks (m/z, intensity) of each block of an MGF file.

    Raises
    ------
    BadInput
        If a block is not closed, or a peak is unreadable; the message names the line.
    """
    fields: dict[str, str] | None = None
    peaks: list[tuple[float, float]] = []
    started = 0
    for number, line in lines:
        if line == "BEGIN IONS":
            if fields is not None:
                raise BadInput(f"{path}: line {number}: BEGIN IONS inside an entry")
            fields, peaks, started = {}, [], number
        elif line == "END IONS":
            if fields is None:
                raise BadInput(f"{path}: line {number}: END IONS without BEGIN IONS")
            yield fields, peaks
            fields = None
        elif fields is not None and line and line[0] not in "#;!/":
            key, equals, value = line.partition("=")
            if equals and not line[0].isdigit():
                fields.setdefault(key.strip().upper(), value.strip())
            else:
                peaks.append(_peak(line, path, number))
    if fields is not None:
        raise BadInput(f"{path}: line {started}: the entry that starts here has no END IONS")


def _msp(lines: Iterator[tuple[int, str]], path: Path) -> Iterator[LibraryEntry]:
    fields: dict[str, str] = {}
    peaks: list[tuple[float, float]] = []
    expected: int | None = None  # peaks still to come; None in the header
    for number, line in lines:
        if expected is None:
            key, colon, value = line.partition(":")
            key = key.strip().upper()
            if key == "NUM PEAKS":
                if not value.strip().isdecimal() or len(value.strip()) > _MOST_DIGITS:
                    raise BadInput(f"{path}: line {number}: Num Peaks is not a number: {line[:60]}")
                expected = int(value)
            elif colon:
                fields.setdefault(key, value.strip())
            elif line:
                raise BadInput(f"{path}: line {number}: expected 'Name: value', got {line[:60]!r}")
        elif line:
            # peaks may share a line; a quoted annotation may hold anything
            parts = (part for part in re.sub(r'"[^"]*"', "", line).split(";") if part.strip())
            peaks += [_peak(part, path, number) for part in parts]
        if expected is not None and (len(peaks) >= expected or not line):
            if len(peaks) != expected:
                raise BadInput(f"{path}: line {number}: {len(peaks)} peaks, expected {expected}")
            yield _entry(fields, peaks)
            fields, peaks, expected = {}, [], None
    if expected is not None or fields:
        raise BadInput(f"{path}: ends inside an entry")


def _peak(line: str, path: Path, number: int) -> tuple[float, float]:
    parts = line.replace(",", " ").split()
    try:
        return float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        raise BadInput(
            f"{path}: line {number}: expected a peak 'm/z intensity', got {line[:60]!r}"
        ) from None


def _entry(fields: dict[str, str], peaks: list[tuple[float, float]]) -> LibraryEntry:
    array = np.array(peaks, dtype=np.float64).reshape(-1, 2)
    array = array[np.isfinite(array).all(axis=1)]
    return LibraryEntry(
        accession=_first(fields, _ACCESSION),
        compound_name=_first(fields, _NAME),
        license=_first(fields, ("LICENSE", "LICENCE")),
        precursor_mz=precursor_of(fields),
        polarity=polarity_of(fields),
        peaks=array[np.argsort(array[:, 0], kind="stable")],
    )


def _first(fields: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((fields[name] for name in names if fields.get(name)), "")


def precursor_of(fields: Mapping[str, str]) -> float | None:
    """Precursor m/z in Th; None where it is no positive number."""
    try:
        value = float(_first(fields, _PRECURSOR).split()[0])
    except (ValueError, IndexError):
        return None
    return value if np.isfinite(value) and value > 0 else None


def polarity_of(fields: Mapping[str, str]) -> str | None:
    """Ion mode, else the sign of the charge, else of the adduct; None where none is stated."""
    stated = _POLARITIES.get(_first(fields, _MODE).lower())
    if stated:
        return stated
    # an unsigned charge, or one of zero, does not say
    charge = re.fullmatch(r"([+-]?)0*[1-9]\d*([+-]?)", _first(fields, ("CHARGE",)))
    adduct = re.search(r"\]\d*([+-])\d*$", _first(fields, _ADDUCT))
    sign = (charge.group(1) or charge.group(2)) if charge else ""
    return _POLARITIES.get(sign or (adduct.group(1) if adduct else ""))
