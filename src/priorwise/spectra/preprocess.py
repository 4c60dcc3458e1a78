"""Raw peaks to the peaks of a table: one function for ingest, score and the model's `raw` mode.

The recipe is the published one: at least 1 % of the base peak, the 400 most intense peaks, sorted
by m/z, square root of the absolute intensity. It is applied once: the arrays of a table are
already preprocessed, and a second square root would change them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from priorwise.errors import BadInput
from priorwise.spectra.schema import LARGEST

MIN_REL_INTENSITY = 0.01
MAX_PEAKS = 400
#: m/z window of a spectrum that is compared with a library, in Th
QUERY_MZ_RANGE = (10.0, 1000.0)


def preprocess_ms1(
    mz: ArrayLike,
    intensity: ArrayLike,
    min_rel_intensity: float = MIN_REL_INTENSITY,
    max_peaks: int = MAX_PEAKS,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Peaks of an MS1 scan as the table stores them.

    Peaks that are no measurement (m/z or intensity not above zero, not finite or beyond
    `schema.LARGEST`) are dropped first.
    Of equally intense peaks at the cut, those of lower m/z stay.

    Parameters
    ----------
    mz : array_like of shape (n_peaks,)
        In Th, any order.
    intensity : array_like of shape (n_peaks,)
        In counts.
    min_rel_intensity : float
        Smallest intensity kept, as a share of the base peak, in [0, 1].
    max_peaks : int
        Largest number of peaks kept, at least 1.

    Returns
    -------
    mz : numpy.ndarray of shape (n_kept,), float32
        Ascending.
    intensity : numpy.ndarray of shape (n_kept,), float32
        Square root of the absolute intensity.

    Raises
    ------
    BadInput
        If the arrays differ in length or a parameter is out of range.
    """
    check_peak_options(min_rel_intensity, max_peaks)
    masses, counts = _measured(mz, intensity)
    if counts.size:
        kept = counts >= min_rel_intensity * counts.max()
        masses, counts = masses[kept], counts[kept]
    if counts.size > max_peaks:
        strongest = np.lexsort((masses, -counts))[:max_peaks]
        masses, counts = masses[strongest], counts[strongest]
    order = np.argsort(masses, kind="stable")
    return masses[order].astype(np.float32), np.sqrt(counts[order]).astype(np.float32)


def filter_query(
    mz: ArrayLike, intensity: ArrayLike, min_rel_intensity: float = MIN_REL_INTENSITY
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peaks of an MS2 scan as they are compared with a library.

    Parameters
    ----------
    mz : array_like of shape (n_peaks,)
        In Th, any order.
    intensity : array_like of shape (n_peaks,)
        In counts.
    min_rel_intensity : float
        Smallest intensity kept, as a share of the scan's base peak, in [0, 1].

    Returns
    -------
    mz : numpy.ndarray of shape (n_kept,), float64
        Ascending, within 10-1000 Th.
    intensity : numpy.ndarray of shape (n_kept,), float64
        Unscaled.

    Raises
    ------
    BadInput
        If the arrays differ in length.
    """
    masses, counts = _measured(mz, intensity)
    low, high = QUERY_MZ_RANGE
    kept = (masses >= low) & (masses <= high)
    if counts.size:
        kept &= counts >= min_rel_intensity * counts.max()
    masses, counts = masses[kept], counts[kept]
    order = np.argsort(masses, kind="stable")
    return masses[order], counts[order]


def check_peak_options(min_rel_intensity: float, max_peaks: int) -> None:
    """Refuse options that keep nothing or make no sense.

    Raises
    ------
    BadInput
        If `min_rel_intensity` is not in [0, 1] or `max_peaks` is below 1.
    """
    if not 0.0 <= min_rel_intensity <= 1.0:
        raise BadInput(f"min_rel_intensity={min_rel_intensity}: expected a share within 0 and 1")
    if max_peaks < 1:
        raise BadInput(f"max_peaks={max_peaks}: expected at least 1")


def _measured(
    mz: ArrayLike, intensity: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    masses = np.asarray(mz, dtype=np.float64)
    counts = np.asarray(intensity, dtype=np.float64)
    if masses.shape != counts.shape or masses.ndim != 1:
        raise BadInput(
            f"m/z and intensity arrays differ in shape ({masses.shape} and {counts.shape})"
        )
    good = (masses > 0) & (masses <= LARGEST) & (counts > 0) & (counts <= LARGEST)
    return masses[good], counts[good]
