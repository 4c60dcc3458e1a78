"""Each MS2 scan of a run with the MS1 survey scan before it: what a row is made of."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.spectra.ingest.library_formats import Match
from priorwise.spectra.ingest.readers import Scan, iter_scans
from priorwise.spectra.ingest.streams import OnBytes
from priorwise.spectra.preprocess import (
    MAX_PEAKS,
    MIN_REL_INTENSITY,
    check_peak_options,
    preprocess_ms1,
)
from priorwise.spectra.settings import raw_settings

BAD_ROWS = ("refuse", "drop")
#: survey scans remembered for MS2 scans that refer back to them
_REMEMBERED = 1024


@dataclass(frozen=True, slots=True)
class Pair:
    """One row to be: an MS2 scan and the preprocessed MS1 scan before it.

    Parameters
    ----------
    ms1_scan_number, ms2_scan_number : int
    mz, intensity : numpy.ndarray of shape (n_kept,), float32
        Of the MS1 scan, as `preprocess.preprocess_ms1` gives them.
    precursor_mz : float
        In Th.
    polarity : str
        "positive" or "negative", of the MS2 scan.
    settings : numpy.ndarray of shape (22,), float64
        As `settings.raw_settings` gives them: not z-scored, NaN where missing.
    match : Match or None
        The library's identification of the MS2 scan.
    """

    ms1_scan_number: int
    ms2_scan_number: int
    mz: NDArray[np.float32]
    intensity: NDArray[np.float32]
    precursor_mz: float
    polarity: str
    settings: NDArray[np.float64]
    match: Match | None


@dataclass
class PairCounts:
    """What a run held; filled in while `iter_pairs` runs.

    Parameters
    ----------
    ms1, ms2, other_scans : int
        Scans by level; other: MS3 and up, UV traces.
    labelled : int
        MS2 scans that the library identifies, with or without an MS1 before them.
    rows, labelled_rows : int
        Pairs made, and those that the library identifies.
    ms2_before_ms1, ms2_without_precursor, ms2_after_empty_ms1, bad_rows : int
        MS2 scans that made none, by reason.
    partner_by_order : int
        Pairs whose MS1 is the last one before, for want of a usable reference.
    partner_of_other_polarity : int
        Pairs whose MS1 states the other polarity.
    numbered_by_position : int
        MS1 and MS2 scans whose id has no scan number.
    """

    ms1: int = 0
    ms2: int = 0
    other_scans: int = 0
    labelled: int = 0
    rows: int = 0
    labelled_rows: int = 0
    ms2_before_ms1: int = 0
    ms2_without_precursor: int = 0
    ms2_after_empty_ms1: int = 0
    bad_rows: int = 0
    partner_by_order: int = 0
    partner_of_other_polarity: int = 0
    numbered_by_position: int = 0


@dataclass(frozen=True, slots=True)
class _Survey:
    scan_number: int
    polarity: str | None
    mz: NDArray[np.float32]
    intensity: NDArray[np.float32]
    problem: str | None


def iter_pairs(
    path: str | Path,
    counts: PairCounts,
    *,
    identify: Callable[[Scan], Match | None] | None = None,
    bad_rows: str = "refuse",
    max_peaks: int = MAX_PEAKS,
    min_rel_intensity: float = MIN_REL_INTENSITY,
    max_decompressed_bytes: int | None = None,
    on_bytes: OnBytes | None = None,
) -> Iterator[Pair]:
    """Stream the (MS1, MS2) pairs of one run, in file order of the MS2 scans.

    The partner is the scan that the MS2's precursor refers to, if it is an MS1 scan that was seen
    (the latest 1024 are remembered), else the last MS1 scan before.

    Parameters
    ----------
    path : str or pathlib.Path
        An mzML or mzXML file, plain or gzip.
    counts : PairCounts
        Filled in.
    identify : callable, optional
        Looks a sound MS2 scan up in a library.
    bad_rows : str
        What to do with an MS2 scan without polarity, with a precursor m/z that is not a positive
        number, or with peak arrays of unequal length: "refuse" the file or "drop" the scan.
    max_peaks, min_rel_intensity
        See `preprocess.preprocess_ms1`.
    max_decompressed_bytes, on_bytes
        See `readers.iter_scans`.

    Yields
    ------
    Pair

    Raises
    ------
    BadInput
        As `readers.iter_scans`, and for a bad row under "refuse", naming the file and scan.
    """
    check_peak_options(min_rel_intensity, max_peaks)
    if bad_rows not in BAD_ROWS:
        raise BadInput(f"bad_rows={bad_rows}: expected one of {', '.join(BAD_ROWS)}")
    surveys: OrderedDict[str, _Survey] = OrderedDict()
    last: _Survey | None = None
    for scan in iter_scans(path, max_decompressed_bytes=max_decompressed_bytes, on_bytes=on_bytes):
        if scan.ms_level not in (1, 2):
            counts.other_scans += 1
            continue
        counts.numbered_by_position += scan.numbered_by_position
        if scan.ms_level == 1:
            counts.ms1 += 1
            last = surveys[scan.native_id] = _survey(scan, min_rel_intensity, max_peaks)
            if len(surveys) > _REMEMBERED:
                surveys.popitem(last=False)
            continue
        counts.ms2 += 1
        if scan.precursor_mz is None:
            counts.ms2_without_precursor += 1
            continue
        survey = surveys.get(scan.precursor_ref or "", last)
        if problem := _problem(scan, survey):
            if bad_rows == "refuse":
                hint = "(bad_rows=drop leaves such scans out)"
                raise BadInput(f"{path}: scan {scan.scan_number}: {problem} {hint}")
            counts.bad_rows += 1
            continue
        match = identify(scan) if identify is not None else None
        counts.labelled += match is not None
        if survey is None:
            counts.ms2_before_ms1 += 1
        elif not len(survey.mz):
            counts.ms2_after_empty_ms1 += 1
        else:
            counts.rows += 1
            counts.labelled_rows += match is not None
            counts.partner_by_order += (scan.precursor_ref or "") not in surveys
            counts.partner_of_other_polarity += survey.polarity not in (None, scan.polarity)
            yield Pair(
                ms1_scan_number=survey.scan_number,
                ms2_scan_number=scan.scan_number,
                mz=survey.mz,
                intensity=survey.intensity,
                precursor_mz=scan.precursor_mz,
                polarity=str(scan.polarity),
                settings=raw_settings({**scan.settings, "Polarity": str(scan.polarity)}),
                match=match,
            )


def _survey(scan: Scan, min_rel_intensity: float, max_peaks: int) -> _Survey:
    mz = intensity = np.empty(0, dtype=np.float32)
    if scan.problem is None:
        mz, intensity = preprocess_ms1(scan.mz, scan.intensity, min_rel_intensity, max_peaks)
    problem = f"its MS1 scan {scan.scan_number}: {scan.problem}" if scan.problem else None
    return _Survey(scan.scan_number, scan.polarity, mz, intensity, problem)


def _problem(scan: Scan, survey: _Survey | None) -> str | None:
    if scan.polarity is None:
        return "states no polarity"
    if scan.precursor_mz is not None and not 0 < scan.precursor_mz < float("inf"):
        return f"precursor m/z is {scan.precursor_mz}, expected a positive number"
    return scan.problem or (survey.problem if survey else None)
