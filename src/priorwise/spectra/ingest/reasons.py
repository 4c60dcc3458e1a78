"""Why an MS2 scan cannot be scored: the whole vocabulary, and the rule that picks from it.

The names stand in the `reason` column of what `score` writes; a scorable scan has none. The rule
gives the first one that holds, in the order of this file.
"""

import numpy as np
from numpy.typing import NDArray

from priorwise.spectra.schema import LARGEST

NO_PRECURSOR = "no precursor m/z"
NO_POLARITY = "no polarity"
BAD_PRECURSOR = "bad precursor m/z"
DAMAGED_PEAKS = "damaged peaks"
NO_MS1 = "no MS1 before"
EMPTY_MS1 = "empty MS1"
PROFILE = "profile data"
DIA = "DIA"
OTHER_POLARITY = "polarity not of this model"
BAD_SETTINGS = "bad settings"

REASONS = {
    NO_PRECURSOR: "the file names no selected ion",
    NO_POLARITY: "neither the scan nor its filter line says positive or negative",
    BAD_PRECURSOR: "the selected ion's m/z is no positive number, or beyond all range",
    DAMAGED_PEAKS: "m/z and intensity arrays of the scan or its MS1 differ in length or, in a "
    "table, hold values that are NaN, negative or beyond all range",
    NO_MS1: "no MS1 scan comes before it in the file",
    EMPTY_MS1: "its MS1 scan has no peaks",
    PROFILE: "its MS1 scan is not centroided (see `is_profile`)",
    DIA: "the isolation window is wider than `WIDEST_WINDOW`, so it holds many precursors",
    OTHER_POLARITY: "the model was trained on the other polarity only",
    BAD_SETTINGS: "in a table: not 22 finite settings within range",
}

#: Th. The published training scans have 1.42 with a standard deviation of 0.46, so 5 lies almost
#: 8 deviations out; DDA methods stay at or below 4, SWATH windows start near 10. That a scan was
#: not triggered by data (a targeted list) is not held against it: it has one precursor.
WIDEST_WINDOW = 5.0
#: the strongest peaks of a scan that are looked at, and the fewest that can tell
_APEXES, _FEWEST_APEXES = 20, 5
#: Th; distance of the two points beside a point of a profile (ion traps sample every 0.1 Th)
_SPAN = 0.4
#: a point at the flank of a sampled peak has at least this share of the apex
_FLANK = 0.2


def is_profile(stated: bool | None, mz: NDArray[np.float64], counts: NDArray[np.float64]) -> bool:
    """Whether a scan is in profile mode.

    A file that says "profile" is believed. One that says "centroid" or nothing is not: converters
    leave mzXML's `centroided` at 0 or 1 whatever they do. Then the points decide. A sampled peak
    has points on both flanks; a centroid stands alone or, padded with zeros, among zeros.

    Parameters
    ----------
    stated : bool or None
        True where the file says profile.
    mz, counts : numpy.ndarray of shape (n_points,)
        Th and counts, as stored.

    Returns
    -------
    bool
        False where too few peaks can tell.
    """
    if stated:
        return True
    if len(mz) < 3 or len(mz) != len(counts):
        return False
    if np.any(np.diff(mz) < 0):
        order = np.argsort(mz, kind="stable")
        mz, counts = mz[order], counts[order]
    left, apex, right = counts[:-2], counts[1:-1], counts[2:]
    peaks = np.flatnonzero((apex > 0) & (apex >= left) & (apex >= right))
    strongest = peaks[np.argsort(-apex[peaks], kind="stable")][:_APEXES]
    if len(strongest) < _FEWEST_APEXES:
        return False
    flank = np.minimum(left, right)[strongest] / apex[strongest]
    span = (mz[2:] - mz[:-2])[strongest]
    return bool(np.mean((flank >= _FLANK) & (span <= _SPAN)) > 0.5)


def of_precursor(precursor_mz: float | None, polarity: str | None) -> str:
    """Reason that lies in what the scan says of itself; empty if there is none."""
    if precursor_mz is None:
        return NO_PRECURSOR
    if polarity is None:
        return NO_POLARITY
    if not 0 < precursor_mz <= LARGEST:
        return BAD_PRECURSOR
    return ""
