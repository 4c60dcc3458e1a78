"""Positive share alpha of the unlabelled rows, from the order of scores alone.

Mixture proportion estimation: unlabelled rows (U) are a share alpha of rows like the labelled ones
(P) and a share 1 - alpha of negatives. A classifier that ranks well leaves hardly any negative
among its highest scores, and there the density of U is alpha times that of P. The three estimators
differ in how they read this limit off a finite table. Any increasing change of the scores leaves
them as they are: neither calibration nor a class weight matters.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize
from scipy.special import expit, ndtri

from priorwise.pu.rates import FloatArray
from priorwise.pu.score_table import ScoreTable, sums_at

# --- BBE ------------------------------------------------------------------------------------------

#: failure probability of the confidence bound (Garg et al. 2021, section 6: delta = .1)
BBE_DELTA = 0.1
#: weight of the bound beyond 1 (theorem 1: any constant above 0)
BBE_GAMMA = 0.01


class TopBins(NamedTuple):
    """BBE's curve over the top bins of scores, from the smallest bin to all rows.

    Attributes
    ----------
    threshold : numpy.ndarray of shape (n_bins,)
        The bin holds the rows with a score of at least this.
    share_of_p, share_of_u : numpy.ndarray of shape (n_bins,)
        q_p and q_u: shares of P and of U in the bin.
    ratio, upper : numpy.ndarray of shape (n_bins,)
        q_u / q_p, and its upper confidence bound.
    chosen : int
        Position of the smallest bound.
    """

    threshold: FloatArray
    share_of_p: FloatArray
    share_of_u: FloatArray
    ratio: FloatArray
    upper: FloatArray
    chosen: int


def top_bins(table: ScoreTable) -> TopBins:
    """The curve that `bbe` reads its estimate from.

    Garg, Wu, Smola, Balakrishnan, Lipton 2021, "Mixture proportion estimation and PU learning: a
    modern approach", algorithm 1.
    """
    _require_order(table)
    labelled = np.cumsum(table.p[::-1])
    inside = labelled > 0
    share_of_p = labelled[inside] / table.n_p
    share_of_u = np.cumsum(table.u[::-1])[inside] / table.n_u
    # Dvoretzky-Kiefer-Wolfowitz for both distribution functions
    width = sum(np.sqrt(np.log(4 / BBE_DELTA) / (2 * n)) for n in (table.n_u, table.n_p))
    ratio = share_of_u / share_of_p
    upper = ratio + (1 + BBE_GAMMA) * width / share_of_p
    return TopBins(
        table.score[::-1][inside], share_of_p, share_of_u, ratio, upper, int(upper.argmin())
    )


def bbe(table: ScoreTable) -> float:
    """Best bin estimation: q_u / q_p at the top bin whose upper confidence bound is smallest.

    Garg et al. 2021, algorithm 1 and equation 3. Biased upwards where even the best bin holds
    negatives.

    Parameters
    ----------
    table : ScoreTable
        Held-out rows of both kinds.

    Returns
    -------
    float
        alpha, in [0, 1].

    Raises
    ------
    ValueError
        If the table lacks labelled or unlabelled rows, or all scores are equal.
    """
    bins = top_bins(table)
    return float(min(bins.ratio[bins.chosen], 1.0))


# --- TIcE -----------------------------------------------------------------------------------------

#: delta of the bound: half a standard error. TIcE's own rule (about .1 for 2,000 rows) guards a
#: search through thousands of subsets; here there is one variable and nested subsets only
TICE_DELTA = 0.8
#: a subset holds at least this share of the labelled rows: below, the maximum is noise
TICE_SMALLEST = 0.1
#: rounds in which c in the bound's variance is replaced by the estimate (TIcE: 2)
TICE_ROUNDS = 5


def tice(table: ScoreTable) -> float:
    """Label frequency as the largest lower bound over subsets, here the top bins of the score.

    Bekker & Davis 2018, "Estimating the class prior in positive and unlabeled data through decision
    tree induction", equation 6: in any subset with T rows, L of them labelled,
    c >= L / T - sqrt(c (1 - c) (1 - delta) / (delta T)) with probability 1 - delta. Instead of a
    tree over all features it searches the one that matters most, the score.

    Parameters and errors as for `bbe`.

    Returns
    -------
    float
        alpha, in [0, 1].
    """
    _require_order(table)
    labelled = np.cumsum(table.p[::-1])
    rows = labelled + np.cumsum(table.u[::-1])
    large = labelled >= TICE_SMALLEST * table.n_p
    rate, rows = labelled[large] / rows[large], rows[large]
    c = 0.5
    for _ in range(TICE_ROUNDS):
        slack = np.sqrt(c * (1 - c) * (1 - TICE_DELTA) / (TICE_DELTA * rows))
        c = float(np.clip((rate - slack).max(), table.s, 1.0))
    return _alpha_of_c(c, table.s)


# --- KDE-EM ---------------------------------------------------------------------------------------

#: grid of normal scores: cells, and both ends
CELLS, END = 257, 3.5
#: standard deviation of the kernel, in normal scores
BANDWIDTH = 0.05
#: where the search starts: logit of c, log of slope, midpoint
STARTS = ((0.0, 1.0, 0.5), (1.5, 1.0, 1.0), (-1.0, 1.0, 0.5), (-1.0, 1.0, -1.0))
BOUNDS = ((-8.0, 8.0), (-2.0, 3.0), (-4.0, 4.0))
TINY = 1e-12


def kde_em(table: ScoreTable) -> float:
    """Mixture of kernel densities along the score, by EM.

    In the spirit of DEDPUL (Ivanov 2020, "DEDPUL: difference-of-estimated-densities-based
    positive-unlabeled learning", sections 3.2 and 3.3): densities of P and U along the score,
    then EM between the posteriors P(y=1 | x, s=0) and their mean, alpha. What differs is how the
    posterior is regularised. DEDPUL smooths the ratio of two densities and tunes where it counts
    as flat; here the ratio of positives to negatives is a logistic curve h in the normal score x
    of the pooled rank, so that

        P(s=1 | x) = c h(x),    h(x) = sigmoid(a (x - b)),
        E: P(y=1 | x, s=0) = (1-c) h / (1 - c h),    M: alpha = its mean over U; c, a, b by
        maximum likelihood.

    The plateau c at the top is then read off all rows, not off the highest few. The fixed point of
    these steps is the maximum of the likelihood of s, which is found directly, by a quasi-Newton
    search from several starts.

    On scores that carry no information h is flat, c and h cannot be told apart, and the answer is
    arbitrary; BBE and TIcE end near alpha = 1 there, and so does the median.

    Parameters and errors as for `bbe`.

    Returns
    -------
    float
        alpha, in [0, 1].
    """
    _require_order(table)
    x, p, u = _kernel_masses(table)
    n = table.n_p + table.n_u

    def risk(theta: FloatArray) -> tuple[float, FloatArray]:
        c, slope = float(expit(theta[0])), float(np.exp(theta[1]))
        z = slope * (x - theta[2])
        h = expit(z)
        g = np.clip(c * h, TINY, 1 - TINY)
        change = (u / (1 - g) - p / g) / n
        steep = c * h * (1 - h)
        gradient = np.array(
            [change @ h * c * (1 - c), change @ (steep * z), -slope * (change @ steep)]
        )
        return float(-(p @ np.log(g) + u @ np.log1p(-g)) / n), gradient

    searches = [minimize(risk, x0, jac=True, method="L-BFGS-B", bounds=BOUNDS) for x0 in STARTS]
    best = min(searches, key=lambda found: float(found.fun))
    return _alpha_of_c(float(np.clip(expit(best.x[0]), table.s, 1.0)), table.s)


def _kernel_masses(table: ScoreTable) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Grid of normal scores, and the kernel-smoothed rows of P and U in each cell."""
    rows = table.p + table.u
    x = ndtri((np.cumsum(rows) - rows / 2) / rows.sum())
    grid = np.linspace(-END, END, CELLS)
    step = grid[1] - grid[0]
    position = np.clip((x + END) / step, 0, CELLS - 1)
    left = np.minimum(position.astype(int), CELLS - 2)
    right_share = position - left

    def smooth(weight: FloatArray) -> FloatArray:
        mass = sums_at(left, weight * (1 - right_share), CELLS)
        mass += sums_at(left + 1, weight * right_share, CELLS)
        return np.asarray(gaussian_filter1d(mass, BANDWIDTH / step, mode="reflect"))

    return grid, smooth(table.p), smooth(table.u)


def _alpha_of_c(c: float, s: float) -> float:
    return float(np.clip((s / c - s) / (1 - s), 0.0, 1.0))


def _require_order(table: ScoreTable) -> None:
    table.require_both()
    if table.score.size < 2:
        raise ValueError(f"scores: all are {table.score[0]:g}, so no row ranks above another")
