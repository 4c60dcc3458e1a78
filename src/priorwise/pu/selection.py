"""Criteria for choosing an epoch or a threshold without negatives.

`r` is the recall on labelled rows, an estimate of P(yhat=1 | y=1) under selected completely at
random; `q` = P(yhat=1) over **all** rows, labelled ones too; `pi` = P(y=1) over the same rows.
Where the target population is that of the unlabelled rows (case-control), put q over the rows
with s = 0 and alpha in their places.
All functions but `degenerate` take floats, or arrays of one shape, and return the same.
"""

from typing import TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T", float, NDArray[np.float64])

#: predicted-positive rates outside of these are those of a model that does not discriminate
LOWEST_Q, HIGHEST_Q = 0.02, 0.98
#: scores (logits) that differ by less are constant
LEAST_SPREAD = 1e-4


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


def q_gap(q: T, pi: float) -> T:
    """Distance of the predicted-positive rate from the class prior, |q - pi|.

    Necessary for a good classifier at its threshold, not sufficient: 0 for random guessing, too.
    """
    return abs(q - pi)


def pu_auc(labelled_auc: T, alpha: float) -> T:
    """Area under the ROC curve of y, from that of s: (Lab - alpha/2) / (1 - alpha).

    Of the unlabelled rows a share alpha is positive, and a labelled row scores above one of these
    with probability 1/2 (labels selected completely at random), so Lab = alpha/2 + (1-alpha) AUC;
    Jain, White & Radivojac 2017, "Recovering true classifier performance in positive-unlabeled
    learning", section 3. It is alpha that belongs here, the share among the rows that labelled
    ones are compared with; pi in its place gives areas above 1.

    Parameters
    ----------
    labelled_auc : float or numpy.ndarray
        Lab, the area of labelled against unlabelled rows, in [0, 1].
    alpha : float
        P(y=1 | s=0), in [0, 1).

    Returns
    -------
    float or numpy.ndarray
        Clipped to [0, 1]; nan stays nan.

    Raises
    ------
    ValueError
        If alpha is out of its range.
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha: expected a share in [0, 1), got {alpha}")
    area = np.clip((np.asarray(labelled_auc, np.float64) - alpha / 2) / (1 - alpha), 0, 1)
    return cast(T, float(area) if area.ndim == 0 else area)


def degenerate(q: float | None, spread: float, pi: float | None = None) -> str | None:
    """Why a model is degenerate: it puts nearly every row on one side, or gives one score to all.

    Parameters
    ----------
    q : float or None
        Predicted-positive rate; None where it says nothing, as of a classifier of s (a perfect
        one gives no row more than c).
    spread : float
        Highest minus lowest score (logit) of all rows.
    pi : float, optional
        Class prior. Where it is extreme itself, q must be further out: below pi/2, or above
        (1+pi)/2.

    Returns
    -------
    str or None
        One sentence, or None for a model that is not degenerate. A value that is nan is no
        reason.
    """
    if spread < LEAST_SPREAD:
        return f"highest - lowest logit = {spread:.1e} < {LEAST_SPREAD:g}: the score is constant"
    if q is None:
        return None
    low = LOWEST_Q if pi is None else min(LOWEST_Q, pi / 2)
    high = HIGHEST_Q if pi is None else max(HIGHEST_Q, (1 + pi) / 2)
    if q > high:
        return f"q = {q:.4f} > {_short(high)}: nearly every row is called positive"
    if q < low:
        return f"q = {q:.4f} < {_short(low)}: nearly no row is called positive"
    return None


def _short(fraction: float) -> str:
    return f"{fraction:.3g}".removeprefix("0")


def _ratio(numerator: T, denominator: T) -> T:
    """Quotient, 0 where the denominator is 0."""
    above, below = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    shape = np.broadcast_shapes(above.shape, below.shape)
    quotient = np.divide(above, below, out=np.zeros(shape), where=below != 0)
    return cast(T, float(quotient) if quotient.ndim == 0 else quotient)
