"""Scores as probabilities of s: undoing a class weight, calibrating, judging the calibration.

Calibrators are fitted on validation rows, never on the rows that c is then estimated from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from priorwise.pu.rates import FloatArray
from priorwise.pu.score_table import ScoreTable, sums_at

Calibrator = Callable[[FloatArray], FloatArray]
Calibration = Literal["temperature", "platt", "isotonic"]
CALIBRATIONS: tuple[Calibration, ...] = ("temperature", "platt", "isotonic")
#: scores this close to 0 or 1 are taken for this value: their logit must be finite
EDGE = 1e-7
#: natural logarithm of the smallest and largest temperature looked at
LOG_TEMPERATURE = (-4.0, 4.0)


def undo_pos_weight(score: FloatArray, pos_weight: float) -> FloatArray:
    """Probabilities of s from those of a classifier trained with a weight on labelled rows.

    A weight w turns the odds of s into w times the odds, so g = g' / (g' + w (1 - g')).

    Parameters
    ----------
    score : numpy.ndarray
        Scores g' in [0, 1].
    pos_weight : float
        w, above 0; 1 changes nothing.

    Raises
    ------
    ValueError
        If the weight is out of its range.
    """
    if not (np.isfinite(pos_weight) and pos_weight > 0):
        raise ValueError(f"pos_weight: expected a finite number above 0, got {pos_weight}")
    if pos_weight == 1:
        return score
    return np.asarray(score / (score + pos_weight * (1 - score)))


def fit_calibrator(validation: ScoreTable, kind: Calibration) -> Calibrator:
    """A monotone map from scores to probabilities of s, fitted on validation rows.

    Parameters
    ----------
    validation : ScoreTable
        Rows of both kinds.
    kind : {"temperature", "platt", "isotonic"}
        sigmoid(logit(g) / T) (Guo et al. 2017, section 4.2); sigmoid(a logit(g) + b) (Platt 1999);
        isotonic regression (Zadrozny & Elkan 2002).

    Returns
    -------
    callable
        From scores in [0, 1] to calibrated scores in [0, 1], element by element.

    Raises
    ------
    ValueError
        If the table lacks labelled or unlabelled rows, or the kind is unknown.
    """
    if kind not in CALIBRATIONS:
        raise ValueError(f"kind: {kind!r} (expected one of {', '.join(CALIBRATIONS)})")
    validation.require_both()
    if kind == "isotonic":
        return _isotonic(validation)
    return _temperature(validation) if kind == "temperature" else _platt(validation)


def _logit(score: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(score, EDGE, 1 - EDGE)))


def _temperature(validation: ScoreTable) -> Calibrator:
    f = _logit(validation.score)

    def risk(log_t: float) -> float:
        z = f * np.exp(-log_t)
        return float(validation.p @ np.logaddexp(0, -z) + validation.u @ np.logaddexp(0, z))

    found = minimize_scalar(risk, bounds=LOG_TEMPERATURE, method="bounded")
    scale = float(np.exp(-found.x))
    return lambda score: np.asarray(expit(_logit(score) * scale))


def _platt(validation: ScoreTable) -> Calibrator:
    f = _logit(validation.score)[:, None]
    model = LogisticRegression(C=np.inf)
    target = np.repeat([1, 0], f.size)
    model.fit(np.concatenate([f, f]), target, np.concatenate([validation.p, validation.u]))
    slope, offset = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < 0:  # a calibrator keeps the order; flat is the nearest that does
        slope, offset = 0.0, float(logit(validation.s))
    return lambda score: np.asarray(expit(slope * _logit(score) + offset))


def _isotonic(validation: ScoreTable) -> Calibrator:
    rows = validation.p + validation.u
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(validation.score, validation.p / rows, sample_weight=rows)
    return lambda score: np.asarray(model.predict(score), dtype=np.float64)


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram of P(s=1): bins of about equally many rows.

    Attributes
    ----------
    mean_score, labelled_rate : numpy.ndarray of shape (n_bins,)
        Mean score and labelled fraction of each bin.
    rows : numpy.ndarray of shape (n_bins,)
        Rows per bin.
    """

    mean_score: FloatArray
    labelled_rate: FloatArray
    rows: FloatArray

    @property
    def ece(self) -> float:
        """Expected calibration error: mean over rows of |labelled fraction - mean score|."""
        gap = np.abs(self.labelled_rate - self.mean_score)
        return float(self.rows @ gap / self.rows.sum())


def reliability(table: ScoreTable, bins: int = 15) -> Reliability:
    """Compare scores with labelled fractions, bin by bin (Naeini et al. 2015, equal mass).

    Parameters
    ----------
    table : ScoreTable
    bins : int
        At most so many, each but the last with at least an equal share of the rows; equal scores
        are never split.

    Raises
    ------
    ValueError
        If `bins` is below 1.
    """
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    rows = table.p + table.u
    reached = np.cumsum(rows)
    ends = [0]
    while ends[-1] < rows.size:
        before = reached[ends[-1] - 1] if ends[-1] else 0.0
        wanted = before + reached[-1] / bins * (1 - 1e-9)
        ends.append(min(int(np.searchsorted(reached, wanted)) + 1, rows.size))
    place = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    n = len(ends) - 1
    per_bin = sums_at(place, rows, n)
    return Reliability(
        sums_at(place, rows * table.score, n) / per_bin,
        sums_at(place, table.p, n) / per_bin,
        per_bin,
    )
