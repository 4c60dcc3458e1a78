"""Groups of similar sequences, and holding out whole groups."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from priorwise.rna.similarity import similarities

#: about 60 % shared bases. How far that keeps apart what it cuts out of bpRNA's training rows: the
#: structure of the nearest row of equal length, copied, has a mean F1 of .44 on a random tenth, .40
#: on a tenth without a plain 6-mer cosine above .4 to the rest, .05 on one cut out by this, and .02
#: on the families of NEW. A higher bound leaves relatives on both sides (.35: .08, .45: .27); a
#: lower one links all rows by chance.
RELATED = 0.30
#: about 80 % shared bases: the redundancy bound of the published splits (CD-HIT-EST at 80 %)
REDUNDANT = 0.58


def clusters(sequences: Sequence[str], bound: float) -> npt.NDArray[np.int64]:
    """Number the groups that are linked by similarities of at least `bound`.

    Two sequences of different groups are less similar than that (single linkage).

    Parameters
    ----------
    sequences : sequence of str
        Normalised.
    bound : float
        Similarity in (0, 1].

    Returns
    -------
    numpy.ndarray of shape (n_sequences,), int64
        Group of each sequence, numbered in the order of first appearance.
    """
    n = len(sequences)
    _, group = np.unique(np.asarray(sequences, dtype=object).astype(str), return_inverse=True)
    first = np.full(n, n)
    np.minimum.at(first, group, np.arange(n))
    # equal sequences too short for any word are linked all the same
    ends = [np.stack([first[group], np.arange(n)])]
    for start, block in similarities(sequences, sequences):
        rows, columns = np.nonzero(block >= bound)
        ends.append(np.stack([rows, columns + start]))
    links = np.concatenate(ends, axis=1)
    graph = sparse.coo_array((np.ones(links.shape[1], bool), tuple(links)), (n, n))
    _, labels = connected_components(graph, directed=False)
    _, appeared, number = np.unique(labels, return_index=True, return_inverse=True)
    order: npt.NDArray[np.int64] = np.argsort(np.argsort(appeared))[number]
    return order


def whole_clusters(
    labels: npt.NDArray[np.int64], goal: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Mark whole groups, drawn at random, that together have at most `goal` members.

    A group that no longer fits is passed over, so large groups are rarely taken.

    Parameters
    ----------
    labels : numpy.ndarray of shape (n,), int64
        Group of each row.
    goal : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of shape (n,), bool
    """
    groups, sizes = np.unique(labels, return_counts=True)
    taken, total = [], 0
    for k in rng.permutation(len(groups)).tolist():
        if total + sizes[k] <= goal:
            taken.append(groups[k])
            total += int(sizes[k])
    return np.isin(labels, taken)
