"""Drawing a fixed number of rows, some with a higher probability than others.

Systematic sampling: Madow, "On the theory of systematic sampling, II", Ann. Math. Statist. 20,
1949. The number drawn and the probability of each row are both exact, so means over what was drawn
can be weighted back to means over all rows (Horvitz & Thompson, J. Am. Stat. Assoc. 47, 1952).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: closer to 1 than this is certain
CERTAIN = 1 - 1e-9


def inclusion_probabilities(weights: Floats, k: int) -> Floats:
    """Probability of each row to be among `k` drawn: in proportion to its weight, at most 1.

    Parameters
    ----------
    weights : numpy.ndarray of shape (n,)
        Positive and finite.
    k : int
        0 to n.

    Returns
    -------
    numpy.ndarray of shape (n,)
        Sums to `k`. Where proportion would ask for more than 1 it is 1, and the rest is shared out
        among the others, again in proportion.
    """
    n = len(weights)
    if k >= n:
        return np.ones(n)
    order = np.argsort(-weights, kind="stable")
    falling = weights[order]
    rest = np.cumsum(falling[::-1])[::-1]  # sum of a weight and of all smaller ones
    # how many of the largest are certain: the first that needs no more than 1 of what is left
    certain = int(np.argmax((k - np.arange(n)) * falling <= rest))
    probability = np.empty(n)
    probability[order[:certain]] = 1.0
    probability[order[certain:]] = (k - certain) * falling[certain:] / rest[certain]
    return probability


def draw(probability: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw rows so that each has exactly its probability, and their number is always the sum.

    Parameters
    ----------
    probability : numpy.ndarray of shape (n,)
        In [0, 1]; the sum is a whole number.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
    """
    drawn = probability >= CERTAIN
    open_ = rng.permutation(np.flatnonzero(~drawn))
    k = round(float(probability.sum() - probability[drawn].sum()))
    if k == 0 or not open_.size:
        return drawn
    # rows laid end to end, each as long as it is probable: one tick a unit, from a random start
    ends = np.cumsum(probability[open_])
    ticks = np.floor(ends / ends[-1] * k + rng.random())
    drawn[open_[np.diff(ticks, prepend=0.0) > 0]] = True
    return drawn
