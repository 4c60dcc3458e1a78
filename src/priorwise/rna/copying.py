"""Memory without a model: the structure of the nearest training sequence."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from priorwise.rna.similarity import nearest_same_length


def copy_nearest(
    sequences: Sequence[str], training: Sequence[str], pairs: Sequence[NDArray[np.integer]]
) -> list[NDArray[np.int32]]:
    """The pairs of the nearest training sequence of the same length: memory without a model.

    Nearest is what differs at the fewest positions (Hamming); of several the first.

    Parameters
    ----------
    sequences : sequence of str
        Normalised.
    training : sequence of str
        Normalised, all with a known structure.
    pairs : sequence of numpy.ndarray of shape (n_pairs, 2)
        Of each training sequence.

    Returns
    -------
    list of numpy.ndarray of shape (n_pairs, 2), int32
        No pairs where no training sequence has that length.
    """
    if len(training) != len(pairs):
        raise ValueError(f"pairs: expected {len(training)} structures, got {len(pairs)}")
    nothing = np.empty((0, 2), np.int32)
    index, _ = nearest_same_length(training, sequences)
    return [np.asarray(pairs[k], np.int32) if k >= 0 else nothing for k in index.tolist()]
