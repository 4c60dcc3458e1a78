"""Proportions counted in rows: their interval, and whether groups differ by more than chance."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from priorwise.pu.rates import FloatArray


@dataclass(frozen=True)
class Proportion:
    """k of n rows, with a 95 % interval.

    Attributes
    ----------
    k, n : int
        Counts, 0 <= k <= n.
    value, low, high : float
        k / n and both ends of Wilson's interval, in [0, 1]; nan without rows.
    """

    k: int
    n: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, k: int, n: int) -> "Proportion":
        """Count k of n rows.

        Raises
        ------
        ValueError
            If not 0 <= k <= n.
        """
        if not 0 <= k <= n:
            raise ValueError(f"k: expected 0 to n = {n} rows, got {k}")
        if n == 0:
            return cls(0, 0, math.nan, math.nan, math.nan)
        return cls(k, n, k / n, *wilson(k, n))


def wilson(k: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Both ends of the score interval of a proportion.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference": the p for
    which k / n is no further than z standard errors sqrt(p (1 - p) / n) away.

    Parameters
    ----------
    k, n : int
        Counts, 0 <= k <= n and n > 0.
    level : float
        Nominal coverage, in (0, 1).

    Returns
    -------
    tuple of float
        Low and high, in [0, 1]; they enclose k / n.
    """
    z = float(ndtri(0.5 + level / 2))
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    # rounding must not put k / n outside, where it is 0 or 1
    return max(0.0, min(centre - half, k / n)), min(1.0, max(centre + half, k / n))


def differences(
    k: ArrayLike, n: ArrayLike, expected: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How far counts in groups are from what one rate for all of them says.

    Two statistics look at the residuals: Pearson's chi-square with groups - 1 degrees of freedom
    sees differences between many groups, the largest adjusted residual (Haberman 1973; Sidak's
    correction) sees one odd group. Cauchy's combination (Liu & Xie 2020, "Cauchy combination
    test", equation 1) makes one p of the two.

    Parameters
    ----------
    k, n : array_like of shape (n_groups,)
        Counts of each group, n > 0; two groups or more.
    expected : array_like of shape (n_tried, n_groups)
        Expected proportion of each group, in (0, 1), one line for each hypothesis tried.

    Returns
    -------
    statistic, largest, p : numpy.ndarray of shape (n_tried,)
        Chi-square, largest adjusted residual in standard errors, p of both together.
    """
    counted, rows, rate = (np.asarray(values, np.float64) for values in (k, n, expected))
    variance = rows * rate * (1 - rate)
    residual = counted - rows * rate
    statistic = (residual**2 / variance).sum(axis=1)
    # the pooled rate takes part of each group's variance
    left = np.maximum(1 - variance / variance.sum(axis=1, keepdims=True), 1e-9)
    largest = np.abs(residual / np.sqrt(variance * left)).max(axis=1)
    p_spread = chi2.sf(statistic, len(rows) - 1)
    beyond = np.minimum(2 * ndtr(-largest), 1 - 1e-15)  # 1 has no logarithm below
    p_odd = -np.expm1(len(rows) * np.log1p(-beyond))
    return statistic, largest, _cauchy(p_spread, p_odd)


def _cauchy(*p_values: FloatArray) -> FloatArray:
    """One p of several that may depend on each other (Liu & Xie 2020, equation 1)."""
    inside = [np.clip(p, 1e-15, 1 - 1e-15) for p in p_values]
    # tan(pi (1/2 - p)) = 1 / tan(pi p), exact for small p
    mean = sum(1 / np.tan(np.pi * p) for p in inside) / len(inside)
    return np.asarray(np.arctan2(1.0, mean) / np.pi, dtype=np.float64)
