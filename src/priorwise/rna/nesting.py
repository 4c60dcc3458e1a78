"""The largest part of a structure in which no two pairs cross."""

import numpy as np
import numpy.typing as npt

from priorwise.rna.nested import best_nested


def nested_pairs(pairs: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Mark the largest set of pairs of which no two cross or share a base.

    Among sets of equal size, the one whose pairs open first. Pairs without conflict are always in
    it; the others are chosen by dynamic programming over their bases, each pair weighing the same
    (the largest independent set of a circle graph, Supowit 1987).

    Parameters
    ----------
    pairs : numpy.ndarray of shape (n_pairs, 2), int32
        Positions counted from 0, i < j, sorted by i, then j.

    Returns
    -------
    numpy.ndarray of shape (n_pairs,), bool
    """
    i, j = pairs[:, 0], pairs[:, 1]
    keep = np.ones(len(pairs), bool)
    if len(pairs) < 2:
        return keep
    crossing = (i[:, None] < i) & (i < j[:, None]) & (j[:, None] < j)
    sharing = (i[:, None] == i) | (i[:, None] == j) | (j[:, None] == i) | (j[:, None] == j)
    np.fill_diagonal(sharing, False)
    conflict = crossing | crossing.T | sharing
    troubled = np.flatnonzero(conflict.any(axis=1))
    if troubled.size:
        keep[troubled] = False
        first, second = pairs[troubled].astype(np.int64).T
        keep[troubled[best_nested(first, second, np.ones(troubled.size))]] = True
    return keep
