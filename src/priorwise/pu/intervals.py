"""Percentile bootstrap intervals of c, s, pi and alpha.

They show **variance only**: the bias of e1 under class overlap (`priors.elkan_noto_e1`) is the
same in every resample, so an interval around e1 can be narrow and still miss the truth.
Rows are resampled one by one, which is too narrow where label rates differ between data sets.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from priorwise.pu.priors import alpha_of, checked_scores

#: rows drawn at once: bounds the memory to some tens of MB whatever the number of scores
DRAWS_AT_ONCE = 1 << 21


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


class PriorIntervals(NamedTuple):
    """Intervals of the four rates."""

    c: Interval
    s: Interval
    pi: Interval
    alpha: Interval


def bootstrap_prior(
    labelled_scores: ArrayLike,
    n_train: int,
    n_train_labelled: int,
    *,
    resamples: int = 200,
    level: float = 0.95,
    rng: np.random.Generator,
) -> PriorIntervals:
    """Percentile bootstrap (Efron 1979) of e1 and of what follows from it.

    c is resampled over the labelled held-out rows, s over the rows of the training table (drawing
    n rows with replacement makes the number of labelled ones binomial), independently as they
    come from different tables; pi = s / c and alpha follow within each resample.

    Variance only, **not** e1's bias: under class overlap e1 under-estimates c in every resample,
    and these intervals can miss the true pi every time.

    Parameters
    ----------
    labelled_scores : array_like of shape (n_labelled,)
        Probabilities given to held-out rows with s = 1.
    n_train, n_train_labelled : int
        Rows, and labelled rows, of the training table that s is taken from.
    resamples : int
        Number of resamples, at least 2.
    level : float
        Nominal coverage, in (0, 1).
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    PriorIntervals
        pi and alpha may exceed 1, where resamples of c fall below s.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """
    scores = checked_scores(labelled_scores, "labelled_scores")
    if not scores.any():
        raise ValueError("labelled_scores: all are 0, so c is 0 and pi undefined")
    if n_train < 1:
        raise ValueError(f"n_train: expected at least one row, got {n_train}")
    if not 0 < n_train_labelled < n_train:
        raise ValueError(
            f"n_train_labelled: expected 1 to n_train - 1 = {n_train - 1}, got {n_train_labelled}"
        )
    if resamples < 2:
        raise ValueError(f"resamples: expected at least 2, got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a coverage in (0, 1), got {level}")

    c = resampled_means(scores, resamples, rng)
    s = rng.binomial(n_train, n_train_labelled / n_train, size=resamples) / n_train
    # a resample of all rows labelled, or of zero scores only, has no pi: left out
    usable = (s < 1) & (c > 0)
    c, s = c[usable], s[usable]
    if c.size < 2:
        raise ValueError("labelled_scores: too few resamples have a label frequency above 0")
    pi = s / c
    tail = 100 * (1 - level) / 2

    def interval(draws: NDArray[np.float64]) -> Interval:
        low, high = np.percentile(draws, [tail, 100 - tail])
        return Interval(float(low), float(high))

    return PriorIntervals(interval(c), interval(s), interval(pi), interval(alpha_of(pi, s)))


def resampled_means(
    values: NDArray[np.float64], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Means of resamples of `values`, each of the same size and with replacement.

    Parameters
    ----------
    values : numpy.ndarray of shape (n,)
    resamples : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of shape (resamples,)
    """
    n = values.size
    sums = np.zeros(resamples)
    at_once = max(1, DRAWS_AT_ONCE // n)
    for first in range(0, resamples, at_once):
        part = slice(first, min(first + at_once, resamples))
        for drawn in range(0, n, DRAWS_AT_ONCE):
            size = (part.stop - part.start, min(DRAWS_AT_ONCE, n - drawn))
            sums[part] += values[rng.integers(n, size=size)].sum(axis=1)
    return sums / n
