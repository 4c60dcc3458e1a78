r"""The simulated world: class-conditional laws of one MS2 scan, and its exact Bayes score.

A row is a class y and features that are independent of each other given y, so that

    logit P(y=1 | x) = logit(pi) + sum_j log[ p_j(x_j | y=1) / p_j(x_j | y=0) ]

with pi the prior of the row's polarity. Every x_j can be read off the stored row. The laws, with
J the symmetric Kullback-Leibler divergence of the classes (for two Gaussians of one spread
J = d'^2) and B(n, q) the binomial law, q = 1/2 + h for one class and 1/2 - h for the other:

====================================  ==============================================  ====
feature x_j                           law given y                                     J
====================================  ==============================================  ====
ion injection time, ms                N(57 +- 10 d'/2, 10^2), shorter for y=1         2.10
Energy1 = 20 + 4k                     k ~ B(6, q), higher for y=1; HCD Energy(1..3)   1.45
                                      are fixed multiples of it and tell nothing new
AGC target = 1e5 (1 + k)              k ~ B(6, q), higher for y=1                     1.05
charge state, 1 to 4                  a table; y=1 is mostly singly charged           0.67
MS2 isolation width = .4 + .3k Th     k ~ B(6, q), narrower for y=1                   0.75
precursor's nominal mass 155 + i      p(i) ~ v^(a-1) (1-v)^(b-1), v = (i + 1/2)/1000  1.25
precursor's share of the base peak    .0105^(1-u) .95^u, u ~ Beta(2.75, 2) for y=1,   0.60
                                      Beta(2, 2.75) for y=0
chemical noise below 150 Th           K ~ B(N, q) of the scan's N noise peaks         0.60
====================================  ==============================================  ====

The sum, 8.42, puts the AUC of the exact score at .98 in both polarities (Phi(d'/sqrt 2) with
d'^2 = 8.4). The settings alone, 71 % of it, reach .96 and act almost linearly in their z-scored
values; the rest needs the precursor m/z and the MS1 peaks.

All rows of one MS1 scan share its peaks, hence K. To keep the score exact, K is drawn for the
scan from its marginal law pi B(N, q_1) + (1 - pi) B(N, q_0), and then the class of each row on its
own, y ~ Bernoulli(P(y=1 | K)). So every row is marginally Bernoulli(pi) and has the laws above,
the rows of a scan are independent given K, and the other rows' precursors in the spectrum say
nothing about this row that K does not. Everything else (resolution, calibration, ion source,
isotope ratios, noise) ignores y.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: K counts noise peaks below this m/z (Th); precursors, isotopes and the base peak lie above
LOW_MASS = 150.0
MIN_NOMINAL, N_NOMINAL = 155, 1000
#: a monoisotopic peak's share of the base peak: always visible after the 1 % rule
MIN_SHARE, MAX_SHARE = 0.0105, 0.95
SHARE_LAW = (2.75, 2.0)
PRECURSOR_LAW = ((3.4, 3.3), (2.1, 4.6))  # (a, b) for y=0, y=1
INJECTION_MEAN, INJECTION_STD, INJECTION_D = 57.0, 10.0, math.sqrt(2.10)  # ms, ms, d'
NOISE_DIVERGENCE = 0.60


@dataclass(frozen=True)
class Levels:
    """A discrete law for each class over the same levels.

    Attributes
    ----------
    values : numpy.ndarray of shape (n_levels,)
        What each level stands for, in the feature's unit.
    probability : numpy.ndarray of shape (2, n_levels)
        Row y holds P(level | y); entries are positive, each row sums to 1.
    """

    values: Floats
    probability: Floats

    def draw(self, rng: np.random.Generator, y: Ints) -> Ints:
        """Level indices of shape (n,), one for each class in `y`."""
        u = rng.random(y.size)
        absent, present = (inverse_cdf(p, u) for p in self.probability)
        return np.where(y == 1, present, absent)

    def log_ratio(self, level: Ints) -> Floats:
        """Log of P(level | y=1) / P(level | y=0), elementwise."""
        ratio: Floats = np.log(self.probability[1] / self.probability[0])[level]
        return ratio

    def divergence(self) -> float:
        """J = KL(1, 0) + KL(0, 1), in nats."""
        difference = self.probability[1] - self.probability[0]
        return float(difference @ self.log_ratio(np.arange(self.values.size)))

    def moments(self, share: float) -> tuple[float, float]:
        """Mean and standard deviation of the values where a `share` of the rows has y=1."""
        p = share * self.probability[1] + (1 - share) * self.probability[0]
        mean = float(p @ self.values)
        return mean, math.sqrt(float(p @ (self.values - mean) ** 2))


def inverse_cdf(p: Floats, u: Floats) -> Ints:
    """Levels, of the shape of `u`, that uniform numbers `u` in [0, 1) draw from the law `p`."""
    found = np.searchsorted(np.cumsum(p), u, side="right")
    return np.minimum(found, p.size - 1).astype(np.int64)


def binomial_levels(values: Floats, divergence: float, rises: bool = True) -> Levels:
    """B(n, 1/2 - h) and B(n, 1/2 + h) over n+1 levels, h chosen so that J is as asked.

    J = 4 n h log((1/2 + h) / (1/2 - h)); the log ratio is linear in the level.

    Parameters
    ----------
    values : numpy.ndarray of shape (n + 1,)
        Values of the levels.
    divergence : float
        J of the two classes, > 0.
    rises : bool
        Whether y=1 prefers the higher levels.
    """
    n = values.size - 1
    h = brentq(
        lambda h: 4 * n * h * math.log((0.5 + h) / (0.5 - h)) - divergence, 1e-6, 0.499, xtol=1e-14
    )
    q = 0.5 + (h if rises else -h) * np.array([[-1.0], [1.0]])
    k = np.arange(n + 1)
    ways = np.array([float(math.comb(n, int(i))) for i in k])
    return Levels(values, ways * q**k * (1 - q) ** (n - k))


def _tilted(a: float, b: float) -> Floats:
    v = (np.arange(N_NOMINAL) + 0.5) / N_NOMINAL
    weight: Floats = v ** (a - 1) * (1 - v) ** (b - 1)
    p: Floats = weight / weight.sum()
    return p


_STEPS: Floats = np.arange(7, dtype=np.float64)
ENERGY = binomial_levels(20.0 + 4.0 * _STEPS, 1.45)
AGC_TARGET = binomial_levels(1e5 * (1.0 + _STEPS), 1.05)
ISOLATION_WIDTH = binomial_levels(0.4 + 0.3 * _STEPS, 0.70, rises=False)  # Th
CHARGE = Levels(np.arange(1.0, 5.0), np.array([[0.50, 0.30, 0.14, 0.06], [0.86, 0.10, 0.03, 0.01]]))
PRECURSOR = Levels(
    MIN_NOMINAL + np.arange(N_NOMINAL, dtype=np.float64),
    np.array([_tilted(*law) for law in PRECURSOR_LAW]),
)


def noise_law(n_noise: int) -> Levels:
    """Give the law of K, the number of the scan's `n_noise` noise peaks that lie below 150 Th."""
    return binomial_levels(np.arange(n_noise + 1.0), NOISE_DIVERGENCE)


@dataclass(frozen=True)
class Features:
    """What distinguishes the classes, row by row; every array has shape (n_rows,).

    Attributes
    ----------
    injection_time : float64, ms
    energy, agc_target, isolation_width, charge, nominal : int64
        Levels of `ENERGY`, `AGC_TARGET`, `ISOLATION_WIDTH`, `CHARGE`, `PRECURSOR`.
    share : float64
        Intensity of the monoisotopic peak over that of the base peak, .0105 to .95.
    """

    injection_time: Floats
    energy: Ints
    agc_target: Ints
    isolation_width: Ints
    charge: Ints
    nominal: Ints
    share: Floats


def draw_features(rng: np.random.Generator, y: Ints) -> Features:
    """Draw the features of rows of classes `y` (int64 0 or 1, shape (n_rows,))."""
    injection = rng.normal(size=y.size) + INJECTION_D * (0.5 - y)
    a, b = SHARE_LAW
    u = rng.beta(np.where(y == 1, a, b), np.where(y == 1, b, a))
    return Features(
        injection_time=INJECTION_MEAN + INJECTION_STD * injection,
        energy=ENERGY.draw(rng, y),
        agc_target=AGC_TARGET.draw(rng, y),
        isolation_width=ISOLATION_WIDTH.draw(rng, y),
        charge=CHARGE.draw(rng, y),
        nominal=PRECURSOR.draw(rng, y),
        share=MIN_SHARE ** (1 - u) * MAX_SHARE**u,
    )


def log_likelihood_ratio(features: Features) -> Floats:
    """Sum over all features but K of log p(x_j | y=1) - log p(x_j | y=0), shape (n_rows,)."""
    a, b = SHARE_LAW
    u = np.log(features.share / MIN_SHARE) / math.log(MAX_SHARE / MIN_SHARE)
    u = np.clip(u, 1e-12, 1 - 1e-12)
    total: Floats = (
        -INJECTION_D * (features.injection_time - INJECTION_MEAN) / INJECTION_STD
        + (a - b) * (np.log(u) - np.log1p(-u))
        + ENERGY.log_ratio(features.energy)
        + AGC_TARGET.log_ratio(features.agc_target)
        + ISOLATION_WIDTH.log_ratio(features.isolation_width)
        + CHARGE.log_ratio(features.charge)
        + PRECURSOR.log_ratio(features.nominal)
    )
    return total


def divergences() -> dict[str, float]:
    """J of each feature, as in the module's table."""
    a, b = SHARE_LAW
    return {
        "injection_time": INJECTION_D**2,
        "energy": ENERGY.divergence(),
        "agc_target": AGC_TARGET.divergence(),
        "charge": CHARGE.divergence(),
        "isolation_width": ISOLATION_WIDTH.divergence(),
        "nominal": PRECURSOR.divergence(),
        "share": float(2 * (a - b) * (digamma(a) - digamma(b))),
        "noise": NOISE_DIVERGENCE,
    }
