"""Each MS2 scan of a run with the MS1 survey scan before it: what a row is made of."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput
from priorwise.spectra.ingest import reasons
from priorwise.spectra.ingest.fragments import ScanCounts, iter_fragments
from priorwise.spectra.ingest.library_formats import Match
from priorwise.spectra.ingest.readers import iter_scans
from priorwise.spectra.ingest.scan import Scan
from priorwise.spectra.ingest.streams import OnBytes
from priorwise.spectra.preprocess import MAX_PEAKS, MIN_REL_INTENSITY

BAD_ROWS = ("refuse", "drop")


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
class PairCounts(ScanCounts):
    """What a run held; filled in while `iter_pairs` runs.

    Parameters
    ----------
    ms1, ms2, other_scans, numbered_by_position : int
        See `fragments.ScanCounts`.
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
    partner_in_profile_mode, wide_windows : int
        Pairs that `score` would not score: profile MS1, and DIA.
    """

    labelled: int = 0
    rows: int = 0
    labelled_rows: int = 0
    ms2_before_ms1: int = 0
    ms2_without_precursor: int = 0
    ms2_after_empty_ms1: int = 0
    bad_rows: int = 0
    partner_by_order: int = 0
    partner_of_other_polarity: int = 0
    partner_in_profile_mode: int = 0
    wide_windows: int = 0


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

    The partner is found as `fragments.Fragment` says. Profile data and wide isolation windows make
    rows, too, but are counted: the published recipe does not tell them apart.

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
    if bad_rows not in BAD_ROWS:
        raise BadInput(f"bad_rows={bad_rows}: expected one of {', '.join(BAD_ROWS)}")
    scans = iter_scans(path, max_decompressed_bytes=max_decompressed_bytes, on_bytes=on_bytes)
    for fragment in iter_fragments(
        scans, counts, max_peaks=max_peaks, min_rel_intensity=min_rel_intensity
    ):
        scan, survey, reason = fragment.scan, fragment.survey, fragment.reason
        if reason == reasons.NO_PRECURSOR:
            counts.ms2_without_precursor += 1
            continue
        if fragment.problem:
            if bad_rows == "refuse":
                hint = "(bad_rows=drop leaves such scans out)"
                raise BadInput(f"{path}: scan {scan.scan_number}: {fragment.problem} {hint}")
            counts.bad_rows += 1
            continue
        match = identify(scan) if identify is not None else None
        counts.labelled += match is not None
        if survey is None:
            counts.ms2_before_ms1 += 1
        elif reason == reasons.EMPTY_MS1:
            counts.ms2_after_empty_ms1 += 1
        else:
            counts.rows += 1
            counts.labelled_rows += match is not None
            counts.partner_by_order += not fragment.by_reference
            counts.partner_of_other_polarity += survey.polarity not in (None, scan.polarity)
            counts.partner_in_profile_mode += reason == reasons.PROFILE
            counts.wide_windows += reason == reasons.DIA
            assert scan.precursor_mz is not None
            yield Pair(
                ms1_scan_number=survey.scan_number,
                ms2_scan_number=scan.scan_number,
                mz=survey.mz,
                intensity=survey.intensity,
                precursor_mz=scan.precursor_mz,
                polarity=str(scan.polarity),
                settings=fragment.settings(),
                match=match,
            )
