"""What changes if pi is not what it was estimated to be.

Selection without negatives needs pi (`priorwise.pu.selection`), and pi is only known up to an
interval. These functions repeat the selection for every pi of a grid: if the same epoch or
threshold is kept from end to end, the interval does not matter for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from priorwise.pu.rates import FloatArray
from priorwise.pu.selection import proxy_accuracy, proxy_f1

#: how close to 0 and 1 a class prior is tried
EDGE = 1e-6
#: r, q of every epoch and one pi -> score of every epoch; larger is better
Criterion = Callable[[FloatArray, FloatArray, float], FloatArray]


@dataclass(frozen=True)
class Sensitivity:
    """What is kept at each pi, and how it scores there; all arrays of shape (n_pi,).

    Attributes
    ----------
    pi : numpy.ndarray
        The grid.
    kept : numpy.ndarray
        What is kept: the position of an epoch, or a threshold.
    r, q : numpy.ndarray
        Recall on labelled rows and predicted-positive rate of what is kept.
    proxy_f1, proxy_accuracy : numpy.ndarray
        Its scores, if the class prior is this pi.
    """

    pi: FloatArray
    kept: FloatArray
    r: FloatArray
    q: FloatArray
    proxy_f1: FloatArray
    proxy_accuracy: FloatArray


def prior_grid(low: float, high: float, points: int = 41) -> FloatArray:
    """Evenly spaced values of pi over its interval, kept inside (0, 1).

    Parameters
    ----------
    low, high : float
        Ends of the interval; a bootstrap end may exceed 1.
    points : int
        At least 2.

    Returns
    -------
    numpy.ndarray of shape (points,)

    Raises
    ------
    ValueError
        If the interval is empty or lies outside (0, 1), or there are too few points.
    """
    first, last = np.clip([low, high], EDGE, 1 - EDGE)
    if not (low <= high and low < 1 and high > 0):
        raise ValueError(f"pi: expected an interval that meets (0, 1), got {low} to {high}")
    if points < 2:
        raise ValueError(f"points: expected at least 2, got {points}")
    return np.linspace(first, last, points)


def epochs_by_prior(
    r: ArrayLike, q: ArrayLike, pi: ArrayLike, criterion: Criterion = proxy_f1
) -> Sensitivity:
    """The epoch that would be kept, as a function of pi.

    Parameters
    ----------
    r, q : array_like of shape (n_epochs,)
        Recall on labelled rows and predicted-positive rate of each epoch; an epoch with nan is
        never kept.
    pi : array_like of shape (n_pi,)
        Class priors, each in (0, 1).
    criterion : callable
        (r, q, pi) -> score; the largest is kept, and the earlier epoch of two equal ones.

    Returns
    -------
    Sensitivity
        `kept` holds positions in r, from 0.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """
    recall, rate, grid = _rates(r, "r"), _rates(q, "q"), _priors(pi)
    if recall.shape != rate.shape:
        raise ValueError(f"q: expected the shape of r {recall.shape}, got {rate.shape}")
    known = np.isfinite(recall) & np.isfinite(rate)
    if not known.any():
        raise ValueError("r: no epoch has both r and q")
    scores = np.array([criterion(recall, rate, float(value)) for value in grid])
    kept = np.where(known, scores, -np.inf).argmax(axis=1)
    return _sensitivity(grid, kept.astype(np.float64), recall[kept], rate[kept])


def thresholds_by_prior(score: ArrayLike, labelled: ArrayLike, pi: ArrayLike) -> Sensitivity:
    """The threshold whose predicted-positive rate q comes closest to pi, as a function of pi.

    Rows with at least the threshold are predicted positive. Where two thresholds are equally
    close, the higher one is taken.

    Parameters
    ----------
    score : array_like of shape (n_rows,)
        Scores of one model, finite.
    labelled : array_like of shape (n_rows,)
        s, as 0/1 or bool; at least one row.
    pi : array_like of shape (n_pi,)
        Class priors, each in (0, 1).

    Returns
    -------
    Sensitivity
        `kept` holds thresholds, each a score of the table.

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """
    f, s, grid = np.asarray(score, np.float64), np.asarray(labelled, bool), _priors(pi)
    if f.ndim != 1 or f.size == 0 or not np.isfinite(f).all():
        raise ValueError("score: expected one or more finite values in one row")
    if s.shape != f.shape:
        raise ValueError(f"labelled: expected the shape of score {f.shape}, got {s.shape}")
    if not s.any():
        raise ValueError("labelled: no row is labelled, recall is undefined")
    distinct, place = np.unique(-f, return_inverse=True)  # from the highest score down
    rate = np.cumsum(np.bincount(place)) / f.size
    recall = np.cumsum(np.bincount(place, weights=s)) / s.sum()
    above = np.minimum(np.searchsorted(rate, grid), rate.size - 1)
    below = np.maximum(above - 1, 0)
    kept = np.where(grid - rate[below] <= rate[above] - grid, below, above)
    return _sensitivity(grid, -distinct[kept], recall[kept], rate[kept])


def _sensitivity(pi: FloatArray, kept: FloatArray, r: FloatArray, q: FloatArray) -> Sensitivity:
    rows = [(float(a), float(b), float(p)) for a, b, p in zip(r, q, pi, strict=True)]
    f1, accuracy = (np.array([score(*row) for row in rows]) for score in (proxy_f1, proxy_accuracy))
    return Sensitivity(pi, kept, r, q, f1, accuracy)


def _rates(values: ArrayLike, name: str) -> FloatArray:
    rates = np.asarray(values, np.float64)
    if rates.ndim != 1 or rates.size == 0:
        raise ValueError(f"{name}: expected one or more values in one row, got {rates.shape}")
    if ((rates < 0) | (rates > 1)).any():
        raise ValueError(f"{name}: expected rates in [0, 1] (or nan for an epoch without)")
    return rates


def _priors(pi: ArrayLike) -> FloatArray:
    grid = np.asarray(pi, np.float64)
    if grid.ndim != 1 or grid.size == 0 or not ((grid > 0) & (grid < 1)).all():
        raise ValueError("pi: expected one or more class priors in (0, 1)")
    return grid
