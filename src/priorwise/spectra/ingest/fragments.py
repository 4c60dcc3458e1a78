"""A walk over a run that says of every MS2 scan what it is: a pair with an MS1, or why not.

Ingest makes rows of it, `score` makes lines of it; there is no other walk.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from priorwise.spectra.ingest import reasons
from priorwise.spectra.ingest.scan import Scan
from priorwise.spectra.preprocess import (
    MAX_PEAKS,
    MIN_REL_INTENSITY,
    check_peak_options,
    preprocess_ms1,
)
from priorwise.spectra.settings import raw_settings

#: survey scans remembered for MS2 scans that refer back to them
_REMEMBERED = 1024


@dataclass
class ScanCounts:
    """What a run held; filled in while `iter_fragments` runs.

    Parameters
    ----------
    ms1, ms2, other_scans : int
        Scans by level; other: MS3 and up, UV traces.
    numbered_by_position : int
        MS1 and MS2 scans whose id has no scan number.
    """

    ms1: int = 0
    ms2: int = 0
    other_scans: int = 0
    numbered_by_position: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """An MS1 scan, preprocessed once for all MS2 scans after it.

    Parameters
    ----------
    scan_number : int
    polarity : str or None
    mz, intensity : numpy.ndarray of shape (n_kept,), float32
        As `preprocess.preprocess_ms1` gives them; empty if the scan is damaged.
    profile : bool
        See `reasons.is_profile`.
    problem : str or None
        What is wrong with its peaks, if anything.
    """

    scan_number: int
    polarity: str | None
    mz: NDArray[np.float32]
    intensity: NDArray[np.float32]
    profile: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class Fragment:
    """An MS2 scan and what it is.

    Parameters
    ----------
    scan : Scan
        The MS2 scan as read.
    survey : Survey or None
        The scan that its precursor refers to, if that is an MS1 scan that was seen (the latest
        1024 are remembered), else the last MS1 scan before; None if there is none.
    by_reference : bool
        Whether the reference gave the survey.
    reason : str
        One of `reasons.REASONS`; empty if the scan can be scored.
    problem : str
        What is wrong with a scan that makes no sound row, in words.
    """

    scan: Scan
    survey: Survey | None
    by_reference: bool
    reason: str
    problem: str

    def settings(self) -> NDArray[np.float64]:
        """Raw settings, shape (22,): as `settings.raw_settings` gives them."""
        return raw_settings({**self.scan.settings, "Polarity": str(self.scan.polarity)})

    @property
    def isolation_width(self) -> float | None:
        """Of the window round the precursor, in Th, where stated."""
        return _width(self.scan)


def iter_fragments(
    scans: Iterable[Scan],
    counts: ScanCounts,
    *,
    max_peaks: int = MAX_PEAKS,
    min_rel_intensity: float = MIN_REL_INTENSITY,
) -> Iterator[Fragment]:
    """Judge the MS2 scans of one run, in file order.

    Parameters
    ----------
    scans : iterable of Scan
        All scans of the run, in file order.
    counts : ScanCounts
        Filled in.
    max_peaks, min_rel_intensity
        See `preprocess.preprocess_ms1`.

    Yields
    ------
    Fragment
        One for every MS2 scan.
    """
    check_peak_options(min_rel_intensity, max_peaks)
    surveys: OrderedDict[str, Survey] = OrderedDict()
    last: Survey | None = None
    for scan in scans:
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
        reference = scan.precursor_ref or ""
        survey = surveys.get(reference, last)
        yield Fragment(scan, survey, reference in surveys, *_judge(scan, survey))


def _survey(scan: Scan, min_rel_intensity: float, max_peaks: int) -> Survey:
    mz = intensity = np.empty(0, dtype=np.float32)
    profile = False
    if scan.problem is None:
        mz, intensity = preprocess_ms1(scan.mz, scan.intensity, min_rel_intensity, max_peaks)
        profile = reasons.is_profile(scan.profile, scan.mz, scan.intensity)
    problem = f"its MS1 scan {scan.scan_number}: {scan.problem}" if scan.problem else None
    return Survey(scan.scan_number, scan.polarity, mz, intensity, profile, problem)


def _judge(scan: Scan, survey: Survey | None) -> tuple[str, str]:
    """Reason, and problem in words."""
    reason = reasons.of_precursor(scan.precursor_mz, scan.polarity)
    if reason == reasons.NO_POLARITY:
        return reason, "states no polarity"
    if reason == reasons.BAD_PRECURSOR:
        return reason, f"precursor m/z is {scan.precursor_mz}, expected a positive number"
    if reason:
        return reason, ""
    damage = scan.problem or (survey.problem if survey else None)
    if damage:
        return reasons.DAMAGED_PEAKS, damage
    if survey is None:
        return reasons.NO_MS1, ""
    if not len(survey.mz):
        return reasons.EMPTY_MS1, ""
    if survey.profile:
        return reasons.PROFILE, ""
    width = _width(scan)
    if width is not None and width > reasons.WIDEST_WINDOW:
        return reasons.DIA, ""
    return "", ""


def _width(scan: Scan) -> float | None:
    width = scan.settings.get("MS2 Isolation Width")
    return None if width is None else float(width)
