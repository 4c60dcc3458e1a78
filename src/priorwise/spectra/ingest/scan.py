"""One scan of a run, whatever file it comes from."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from priorwise.errors import BadInput

_MAX_SCAN_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan of a run.

    Parameters
    ----------
    native_id : str
        The file's own name of the scan; `precursor_ref` refers to it.
    scan_number : int
        "scan=N" of the id, or the id itself where it is a number, else position in the file + 1.
    ms_level : int
        1 for a survey scan, 2 for a fragment scan; 0 where the file states none (UV traces).
    polarity : str or None
        "positive", "negative", or None where the file does not say.
    mz, intensity : numpy.ndarray of shape (n_peaks,), float64
        Th and counts, as stored.
    precursor_mz : float or None
        Selected ion m/z of the first precursor, in Th.
    precursor_ref : str or None
        Native id of the survey scan, where the file gives it.
    settings : dict
        Named settings of a fragment scan (`settings.raw_settings` reads them).
    numbered_by_position : bool
        Whether `scan_number` is the position in the file, for want of one in the id.
    profile : bool or None
        Whether the file says that the peaks are a profile; None where it does not say, or is not
        to be believed.
    problem : str or None
        What is wrong with the peaks, if anything.
    """

    native_id: str
    scan_number: int
    ms_level: int
    polarity: str | None
    mz: NDArray[np.float64]
    intensity: NDArray[np.float64]
    precursor_mz: float | None = None
    precursor_ref: str | None = None
    settings: dict[str, float | str] = field(default_factory=dict)
    numbered_by_position: bool = False
    profile: bool | None = None
    problem: str | None = None


def checked_number(number: int, path: object, name: str) -> int:
    """Refuse a scan number that the table's column cannot hold."""
    if number > _MAX_SCAN_NUMBER:
        raise BadInput(f"{path}: scan {name!r}: its number does not fit into 32 bits")
    return number
