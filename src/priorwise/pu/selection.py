"""Criteria for choosing an epoch or a threshold without negatives.

`r` is the recall on labelled rows, an estimate of P(yhat=1 | y=1) under selected completely at
random; `q` = P(yhat=1) over **all** rows, labelled ones too; `pi` = P(y=1) over the same rows.
All functions take floats, or arrays of one shape, and return the same.
"""

from typing import TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T", float, NDArray[np.float64])


def labelled_recall(predicted: ArrayLike, labelled: ArrayLike) -> float:
    """Share of the labelled rows that are predicted positive, r.

    Parameters
    ----------
    predicted, labelled : array_like of shape (n_rows,)
        yhat and s, as 0/1 or bool.

    Returns
    -------
    float
        r, in [0, 1].

    Raises
    ------
    ValueError
        If no row is labelled, or the shapes differ.
    """
    yhat, s = np.asarray(predicted, dtype=bool), np.asarray(labelled, dtype=bool)
    if yhat.shape != s.shape:
        raise ValueError(f"labelled: expected the shape of predicted {yhat.shape}, got {s.shape}")
    if not s.any():
        raise ValueError("labelled: no row is labelled, recall is undefined")
    return float(yhat[s].mean())


def predicted_positive_rate(predicted: ArrayLike) -> float:
    """Share of all rows that are predicted positive, q.

    Parameters
    ----------
    predicted : array_like of shape (n_rows,)
        yhat of labelled and unlabelled rows, as 0/1 or bool.

    Returns
    -------
    float
        q, in [0, 1].

    Raises
    ------
    ValueError
        If there are no rows.
    """
    yhat = np.asarray(predicted, dtype=bool)
    if yhat.size == 0:
        raise ValueError("predicted: no rows")
    return float(yhat.mean())


def pu_f(r: T, q: T) -> T:
    """PU-F, r^2 / q, which ranks classifiers as precision times recall does.

    Lee & Liu 2003, "Learning with positive and unlabeled examples using weighted logistic
    regression", section 4: precision * recall = pi r^2 / q, and pi is the same for all of them.

    Parameters
    ----------
    r, q : float or numpy.ndarray
        Recall on labelled rows, predicted-positive rate, both in [0, 1].

    Returns
    -------
    float or numpy.ndarray
        At least 0; at most 1 / pi up to sampling; 1 for "all positive"; 0 where q = 0.
    """
    return _ratio(r * r, q)


def proxy_f1(r: T, q: T, pi: float) -> T:
    """F1 score estimated without negatives, 2 pi r / (q + pi).

    With precision = pi r / q, F1 = 2 precision r / (precision + r) reduces to this.

    Parameters
    ----------
    r, q : float or numpy.ndarray
        Recall on labelled rows, predicted-positive rate, both in [0, 1].
    pi : float
        Class prior over all rows, in (0, 1).

    Returns
    -------
    float or numpy.ndarray
        At least 0; may exceed 1 where pi is over-estimated (pi r > q); 0 where q = 0.
    """
    return _ratio(2 * pi * r * (q > 0), q + pi)


def proxy_accuracy(r: T, q: T, pi: float) -> T:
    """Accuracy estimated without negatives, 1 - pi + 2 pi r - q.

    P(yhat=y) = pi r + (1-pi)(1-FPR) with (1-pi) FPR = q - pi r. Not clipped: with sampling error
    or a wrong pi it lies in [-1, 2], so that worse stays worse beyond the ends of [0, 1].

    Parameters
    ----------
    r, q : float or numpy.ndarray
        Recall on labelled rows, predicted-positive rate, both in [0, 1].
    pi : float
        Class prior over all rows, in (0, 1).

    Returns
    -------
    float or numpy.ndarray
        1 - pi for "all negative", pi for "all positive".
    """
    return 1 - pi + 2 * pi * r - q


def _ratio(numerator: T, denominator: T) -> T:
    """Quotient, 0 where the denominator is 0."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    shape = np.broadcast_shapes(above.shape, below.shape)
    quotient = np.divide(above, below, out=np.zeros(shape), where=below != 0)
    return cast(T, float(quotient) if quotient.ndim == 0 else quotient)
