"""Which rows cannot be left alone any longer."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def overdue(
    last: Rows, epoch: int, within: int, room: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows that must be visited in this epoch so that all can be in time: no more than needed.

    A row last visited in epoch e has to be visited again by epoch e + `within`. If more rows are
    due in this and the next j epochs than fit into the next j epochs alone, the surplus is for
    now. Whoever keeps to this from the start never has more than `room` for one epoch, provided
    that `room` times `within` is at least the number of rows.

    Parameters
    ----------
    last : numpy.ndarray of shape (n,)
        Epoch of the last visit; -1 for never.
    epoch : int
        The epoch at hand.
    within : int
        Epochs between two visits at most.
    room : int
        Rows that are visited in every epoch at least.
    rng : numpy.random.Generator
        Orders rows that are due at the same time.

    Returns
    -------
    numpy.ndarray of int64
        The rows, those due first in front.
    """
    left = np.clip(last + within - epoch, 0, within - 1)  # epochs after this one
    due = np.cumsum(np.bincount(left, minlength=within))
    surplus = int((due - room * np.arange(within)).max())
    urgent = np.lexsort((rng.random(len(last)), left))
    return urgent[: max(surplus, 0)]
