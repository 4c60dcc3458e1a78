"""Recall between data sets: its interval if others had been drawn, and whether it is the same."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from priorwise.pu.intervals import Interval
from priorwise.pu.proportions import differences

#: groups with fewer labelled rows say nothing about a difference of recalls
MIN_LABELLED = 5
#: so many data sets with labelled rows are needed to draw data sets for an interval
ENOUGH_DATASETS = 5


def recall_by_dataset(
    labelled: ArrayLike,
    kept: ArrayLike,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    rng: np.random.Generator,
) -> Interval | None:
    """Interval of recall if other data sets had been drawn: percentile bootstrap of data sets.

    Rows of one data set are alike, so that Wilson's interval, which takes every row for a draw of
    its own, is too narrow for a new data set (Field & Welsh 2007, "Bootstrapping clustered data").

    Parameters
    ----------
    labelled, kept : array_like of shape (n_datasets,)
        Labelled rows of each data set, and how many of them are kept.
    resamples : int
    level : float
        Nominal coverage, in (0, 1).
    rng : numpy.random.Generator

    Returns
    -------
    Interval or None
        None with fewer than `ENOUGH_DATASETS` data sets that have labelled rows.
    """
    n, k = np.asarray(labelled, np.float64), np.asarray(kept, np.float64)
    k, n = k[n > 0], n[n > 0]
    if n.size < ENOUGH_DATASETS:
        return None
    times = rng.multinomial(n.size, np.full(n.size, 1 / n.size), size=resamples)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile((times @ k) / (times @ n), [tail, 100 - tail])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class RecallCheck:
    """Whether recall is alike in all data sets.

    Attributes
    ----------
    groups : int
        Data sets with `MIN_LABELLED` labelled rows or more; the others are left out.
    statistic : float
        Chi-square with groups - 1 degrees of freedom.
    p_value : float
        Chance of such differences if recall is the same everywhere; nan where it cannot differ:
        with one group, or all labelled rows kept, or none.
    """

    groups: int
    statistic: float
    p_value: float


def recall_check(labelled: ArrayLike, kept: ArrayLike) -> RecallCheck:
    """Test whether recall is the same in every data set (`proportions.differences`).

    Parameters
    ----------
    labelled, kept : array_like of shape (n_datasets,)
        Labelled rows of each data set, and how many of them are kept.
    """
    n, k = np.asarray(labelled, np.float64), np.asarray(kept, np.float64)
    used = n >= MIN_LABELLED
    n, k = n[used], k[used]
    if n.size < 2 or not 0 < k.sum() < n.sum():
        return RecallCheck(int(n.size), math.nan, math.nan)
    expected = np.full((1, n.size), k.sum() / n.sum())
    statistic, _, p_value = differences(k, n, expected)
    return RecallCheck(int(n.size), float(statistic[0]), float(p_value[0]))
