"""BBE, TIcE on the score and KDE-EM over rows, from the papers: no counts, no optimiser."""

import math

import numpy as np
from scipy.stats import norm


def bbe(scores, labelled, delta=0.1, gamma=0.01):
    """Garg et al. 2021, algorithm 1: the share of U over that of P, at the best threshold."""
    p = [g for g, s in zip(scores, labelled, strict=True) if s]
    u = [g for g, s in zip(scores, labelled, strict=True) if not s]
    smallest, estimate = math.inf, math.nan
    for threshold in sorted(p, reverse=True):
        q_p = sum(g >= threshold for g in p) / len(p)
        q_u = sum(g >= threshold for g in u) / len(u)
        half = math.sqrt(math.log(4 / delta) / (2 * len(u)))
        half += math.sqrt(math.log(4 / delta) / (2 * len(p)))
        bound = q_u / q_p + (1 + gamma) * half / q_p
        if bound < smallest - 1e-12:
            smallest, estimate = bound, q_u / q_p
    return min(estimate, 1.0)


def tice(scores, labelled, delta=0.8, smallest=0.1, rounds=5):
    """Bekker & Davis 2018, equation 6, over the rows above each score; alpha."""
    rows = list(zip(scores, labelled, strict=True))
    n_p = sum(1 for _, s in rows if s)
    share = n_p / len(rows)
    subsets = []  # (T, L)
    for threshold in sorted(set(scores)):
        top = [s for g, s in rows if g >= threshold]
        if sum(top) >= n_p * smallest:
            subsets.append((len(top), sum(top)))
    c = 0.5
    for _ in range(rounds):
        bounds = [
            n_labelled / n - math.sqrt(c * (1 - c) * (1 - delta) / (delta * n))
            for n, n_labelled in subsets
        ]
        c = min(max(max(bounds), share), 1.0)
    return (share / c - share) / (1 - share)


def normal_scores(scores):
    """Normal quantile of each row's share of rows below it, ties counted half."""
    n = len(scores)
    below = [sum(o < g for o in scores) + sum(o == g for o in scores) / 2 for g in scores]
    return norm.ppf(np.array(below) / n)


def densities(x, bandwidth=0.05, cells=257, end=3.5):
    """Grid, and per grid point the sum of kernels around the rows, each of total mass 1."""
    grid = np.linspace(-end, end, cells)
    mass = np.zeros(cells)
    for row in np.clip(x, -end, end):
        kernel = norm.pdf((grid - row) / bandwidth)
        mass += kernel / kernel.sum()
    return grid, mass


def kde_em(scores, labelled, iterations=4000):
    """EM between posteriors P(y=1 | x, s=0) and their mean; alpha.

    P(s=1 | x) = c h(x), h a logistic curve in the normal score. The M-step for h is a logistic
    regression on the posteriors, by Newton's method. One start in the middle; the one with the
    highest likelihood of three wins.
    """
    labelled = np.asarray(labelled, bool)
    x = normal_scores(scores)
    grid, p = densities(x[labelled])
    _, u = densities(x[~labelled])
    design = np.stack([np.ones_like(grid), grid], axis=1)
    best, best_c = -math.inf, math.nan
    for c, beta in ((0.5, (0.0, 2.0)), (0.8, (-2.0, 2.0)), (0.3, (0.0, 2.0))):
        beta = np.array(beta)
        for _ in range(iterations):
            h = 1 / (1 + np.exp(-design @ beta))
            posterior = (1 - c) * h / (1 - c * h)
            before, c = c, p.sum() / (p.sum() + (u * posterior).sum())
            for _ in range(3):
                h = 1 / (1 + np.exp(-design @ beta))
                gradient = design.T @ (p * (1 - h) + u * (posterior - h))
                hessian = (design * ((p + u) * h * (1 - h))[:, None]).T @ design
                beta = beta + np.linalg.solve(hessian, gradient)
            if abs(c - before) < 1e-10:
                break
        h = 1 / (1 + np.exp(-design @ beta))
        likelihood = (p * np.log(c * h)).sum() + (u * np.log(1 - c * h)).sum()
        if likelihood > best:
            best, best_c = likelihood, c
    share = labelled.mean()
    return (share / best_c - share) / (1 - share)
