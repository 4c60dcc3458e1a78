"""Calibration over rows: temperature, Platt, isotonic, undone weights, calibration error."""

import math
from fractions import Fraction

import numpy as np


def logit(scores):
    """log(g / (1 - g)) of each score."""
    return np.array([math.log(g) - math.log1p(-g) for g in scores])


def cross_entropy(probabilities, labelled):
    """Mean of -log of the probability that a row's s was given."""
    right = [g if s else 1 - g for g, s in zip(probabilities, labelled, strict=True)]
    return -math.fsum(math.log(max(r, 1e-300)) for r in right) / len(right)


def temperature(scores, labelled):
    """Guo et al. 2017: T with the least cross-entropy, on ever finer grids of log T."""
    f, s = logit(scores), np.asarray(labelled, bool)

    def risk(log_t):
        z = np.where(s, 1, -1) * f * math.exp(-log_t)
        return np.logaddexp(0, -z).mean()

    low, high = -4.0, 4.0
    for _ in range(12):
        grid = np.linspace(low, high, 41)
        best = grid[np.argmin([risk(t) for t in grid])]
        step = grid[1] - grid[0]
        low, high = max(best - step, -4.0), min(best + step, 4.0)
    return math.exp(best)


def platt(scores, labelled):
    """Platt 1999 without smoothed targets: slope and offset on the logit, by Newton's method."""
    f, s = logit(scores), np.asarray(labelled, float)
    design = np.stack([f, np.ones_like(f)], axis=1)
    theta = np.array([0.0, 0.0])
    for _ in range(50):
        g = 1 / (1 + np.exp(-design @ theta))
        hessian = (design * (g * (1 - g))[:, None]).T @ design
        theta = theta + np.linalg.solve(hessian, design.T @ (s - g))
    return tuple(theta)


def isotonic(scores, labelled):
    """Pool adjacent violators (Ayer et al. 1955): the fitted value of each row, as a dict."""
    blocks = []  # [labelled, rows, scores], by ascending score; equal scores start together
    for g in sorted(set(scores)):
        at = [int(s) for o, s in zip(scores, labelled, strict=True) if o == g]
        blocks.append([sum(at), len(at), [g]])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    return {g: Fraction(k, n) for k, n, members in blocks for g in members}


def weighted_rate(labelled, unlabelled, weight):
    """P(s=1) as a classifier learns it at one x, with and without a weight on labelled rows."""
    weight = Fraction(weight)
    with_weight = weight * labelled / (weight * labelled + unlabelled)
    return with_weight, Fraction(labelled, labelled + unlabelled)


def weighted_logistic(x, labelled, weight):
    """Scores of a logistic regression with this weight on labelled rows, by Newton's method."""
    s = np.asarray(labelled, float)
    w = np.where(s == 1, weight, 1.0)
    theta = np.zeros(x.shape[1])
    for _ in range(50):
        g = 1 / (1 + np.exp(-x @ theta))
        hessian = (x * (w * g * (1 - g))[:, None]).T @ x
        theta = theta + np.linalg.solve(hessian, x.T @ (w * (s - g)))
    return 1 / (1 + np.exp(-x @ theta))


def ece(scores, labelled, bins):
    """Mean over rows of |labelled fraction - mean score| of the row's bin.

    Going up the scores, a bin is full with its equal share of the rows; equal scores stay together.
    """
    total, members = 0.0, []
    for g in sorted(set(scores)):
        members += [(o, s) for o, s in zip(scores, labelled, strict=True) if o == g]
        if len(members) * bins >= len(scores):
            total += abs(math.fsum(o for o, _ in members) - sum(s for _, s in members))
            members = []
    total += abs(math.fsum(o for o, _ in members) - sum(s for _, s in members))
    return total / len(scores)
