"""The best structure without crossing pairs, by dynamic programming."""

import numpy as np
from numpy.typing import NDArray


def best_nested(
    first: NDArray[np.int64], second: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Crossing-free pairs, at most one per base, with the largest sum of weights.

    Nussinov et al. (1978) with weights: the best of the positions i to j - 1 either leaves i alone
    or pairs it with a k, and what is enclosed and what follows are best for themselves:

        best[i, j] = max(best[i + 1, j], max_k weight[i, k] + best[i + 1, k] + best[k + 1, j])

    Rows are filled from the last one up, each for all k and j at once. Positions that no pair can
    use are left out beforehand, so the time grows with their number and not with the length.

    Parameters
    ----------
    first, second : numpy.ndarray of shape (n_cells,), int64
        Positions of the pairs to choose from, first < second, no pair twice.
    weight : numpy.ndarray of shape (n_cells,), float64
        What a pair adds; above 0.

    Returns
    -------
    numpy.ndarray of int64
        Indices of the chosen cells, ascending. Of equally good structures the one whose pairs open
        first, and close first.
    """
    if not first.size:
        return np.empty(0, np.int64)
    n, cells, (first, second) = _by_first(first, second)
    starts = np.searchsorted(first, np.arange(n + 1))
    weight = weight[cells]
    # best[i, j]: positions i to j - 1; nothing fits where j < i
    best = np.full((n + 1, n + 1), -np.inf)
    best[n, n] = 0.0
    enclosed = np.empty(weight.size)  # of each cell: its weight and the best of what it encloses
    for i in range(n - 1, -1, -1):
        row = best[i]
        row[i + 1 :] = best[i + 1, i + 1 :]
        row[i] = 0.0
        here = slice(starts[i], starts[i + 1])
        ends = second[here]
        if ends.size:
            enclosed[here] = weight[here] + best[i + 1, ends]
            after = ends[0] + 1
            total = enclosed[here, None] + best[ends + 1, after:]
            np.maximum(row[after:], total.max(axis=0), out=row[after:])
    return np.sort(cells[_traced(best, starts, second, enclosed)])


def _by_first(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Number of positions in use, order of the cells by position, and their new positions."""
    used, place = np.unique(np.stack([first, second]), return_inverse=True)
    place = place.reshape(2, -1)
    order = np.lexsort((place[1], place[0]))
    return used.size, order, place[:, order]


def _traced(
    best: NDArray[np.float64],
    starts: NDArray[np.int64],
    second: NDArray[np.int64],
    enclosed: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Cells of a structure that attains best[0, n]."""
    chosen: list[int] = []
    left = [(0, best.shape[0] - 1)]
    while left:
        i, j = left.pop()
        while i < j:
            low = starts[i]
            high = low + np.searchsorted(second[low : starts[i + 1]], j)
            i += 1
            if low == high:
                continue
            total = enclosed[low:high] + best[second[low:high] + 1, j]
            cell = low + int(total.argmax())
            if total[cell - low] == best[i - 1, j]:
                chosen.append(cell)
                k = int(second[cell])
                left.append((k + 1, j))
                j = k
    return np.array(chosen, np.int64)
