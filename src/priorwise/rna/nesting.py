"""The largest part of a structure in which no two pairs cross."""

import numpy as np
import numpy.typing as npt


def nested_pairs(pairs: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Mark the largest set of pairs of which no two cross or share a base.

    Among sets of equal size, the one whose pairs open first. Pairs without conflict are always in
    it; the others are chosen by dynamic programming over their bases (the largest independent set
    of a circle graph, Supowit 1987), at most a few dozen in real structures.

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
        keep[troubled[_largest(pairs[troubled])]] = True
    return keep


def _largest(pairs: npt.NDArray[np.int32]) -> list[int]:
    """Indices of the largest set without conflict."""
    bases = np.unique(pairs)
    closing: list[list[tuple[int, int]]] = [[] for _ in bases]  # opening base -> (end, pair)
    for number, (start, end) in enumerate(np.searchsorted(bases, pairs).tolist()):
        closing[start].append((end, number))
    n = len(bases)
    # best[a][b]: pairs in the best set among the bases a..b-1
    best = [[0] * (n + 1) for _ in range(n + 2)]
    for a in range(n - 1, -1, -1):
        row, below = best[a], best[a + 1]
        for b in range(a + 1, n + 1):
            top = below[b]
            for end, _ in closing[a]:
                if end < b:
                    top = max(top, 1 + below[end] + best[end + 1][b])
            row[b] = top
    chosen, spans = [], [(0, n)]
    while spans:
        a, b = spans.pop()
        if b - a < 2:
            continue
        for end, number in closing[a]:
            if end < b and 1 + best[a + 1][end] + best[end + 1][b] == best[a][b]:
                chosen.append(number)
                spans += [(a + 1, end), (end + 1, b)]
                break
        else:
            spans.append((a + 1, b))
    return chosen
