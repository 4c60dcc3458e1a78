"""Elkan & Noto 2008: e1, e2, e3 and what follows, in plain Python over rows with exact sums."""

import math
from fractions import Fraction

import numpy as np
from scipy.stats import norm


def e1(scores):
    """Mean of g(x) over the labelled validation rows."""
    return math.fsum(float(g) for g in scores) / len(scores)


def e2(scores, labelled):
    """Sum of g(x) over the labelled rows, divided by the sum over all rows."""
    return math.fsum(g for g, s in zip(scores, labelled, strict=True) if s) / math.fsum(scores)


def e3(scores):
    """Maximum of g(x) over all rows."""
    largest = 0.0
    for g in scores:
        largest = max(largest, g)
    return largest


def rates_from_counts(labelled_positives, positives, unlabelled_negatives):
    """s, c, pi, alpha by counting rows whose class is known."""
    rows = positives + unlabelled_negatives
    return (
        Fraction(labelled_positives, rows),
        Fraction(labelled_positives, positives),
        Fraction(positives, rows),
        Fraction(positives - labelled_positives, rows - labelled_positives),
    )


def distance(auc):
    """Distance of two Gaussians of unit variance between which the best AUC is this."""
    return math.sqrt(2) * norm.ppf(auc)


def gaussian_table(n, auc, pi, c, seed):
    """Perfect scores g(x) = c P(y=1 | x), s and y of n rows; labels completely at random."""
    rng = np.random.default_rng(seed)
    d = distance(auc)
    y = rng.random(n) < pi
    x = rng.normal(size=n) + d * y
    odds = pi / (1 - pi) * np.exp(d * x - d * d / 2)
    return c * odds / (1 + odds), y & (rng.random(n) < c), y


def limit_of_e1(auc, pi, c):
    """E[e1] = c E[P(y=1 | x) | y=1] of the same Gaussians, by the trapezoid rule."""
    d = distance(auc)
    x = np.linspace(-12, 12 + d, 20_001)
    positives, negatives = pi * norm.pdf(x - d), (1 - pi) * norm.pdf(x)
    return c * np.trapezoid(norm.pdf(x - d) * positives / (positives + negatives), x)
