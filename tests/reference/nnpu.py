"""Non-negative PU risk in NumPy, from Kiryo et al. 2017 (eq. 6, algorithm 1); no autograd.

Rows are visited one by one, gradients are derived by hand: d/df ln(1+exp(-f)) = -sigmoid(-f),
d/df ln(1+exp(f)) = sigmoid(f); for the sigmoid loss -+ sigmoid(f) sigmoid(-f).
"""

import math

import numpy as np


def _sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def losses(f, loss):
    """l(f), dl(f)/df, l(-f), dl(-f)/df of one logit."""
    if loss == "logistic":
        return _softplus(-f), -_sigmoid(-f), _softplus(f), _sigmoid(f)
    slope = _sigmoid(f) * _sigmoid(-f)
    return _sigmoid(-f), -slope, _sigmoid(f), slope


def _bce(rows, f, s):
    value, grad = 0.0, np.zeros(len(f))
    for i in rows:
        as_pos, d_pos, as_neg, d_neg = losses(f[i], "logistic")
        value += (as_pos if s[i] else as_neg) / len(rows)
        grad[i] = (d_pos if s[i] else d_neg) / len(rows)
    return value, grad


def _clamped(plus, d_plus, minus, d_minus, beta, gamma):
    if minus < -beta:
        return plus - beta, -gamma * d_minus, 1
    return plus + minus, d_plus + d_minus, 0


def risk(
    f, s, positive_mode, priors, scenario, loss="logistic", fallback="bce", beta=0.0, gamma=1.0
):
    """(value, gradient, clamped, strata, fell_back); priors = {True: (pi, s), False: (pi, s)}."""
    n = len(f)
    if scenario == "published":
        strata = [(1.0, list(range(n)))]
    else:
        strata = []
        for mode in (True, False):
            rows = [i for i in range(n) if bool(positive_mode[i]) == mode]
            if rows:
                strata.append((len(rows) / n, rows))
    value, grad, n_clamped, n_pu, n_fell = 0.0, np.zeros(n), 0, 0, 0
    for weight, rows in strata:
        labelled = [i for i in rows if s[i]]
        unlabelled = [i for i in rows if not s[i]]
        if not labelled or not unlabelled:
            n_fell += 1
            part, d_part = _bce(rows, f, s) if fallback == "bce" else (0.0, np.zeros(n))
        else:
            plus = minus = 0.0
            d_plus, d_minus = np.zeros(n), np.zeros(n)
            for i in labelled:
                pi, rate = priors[bool(positive_mode[i])]
                taken_back = pi if scenario == "published" else pi - rate
                as_pos, d_pos, as_neg, d_neg = losses(f[i], loss)
                plus += pi * as_pos / len(labelled)
                d_plus[i] += pi * d_pos / len(labelled)
                minus -= taken_back * as_neg / len(labelled)
                d_minus[i] -= taken_back * d_neg / len(labelled)
            for i in unlabelled:
                _, rate = priors[bool(positive_mode[i])]
                share = 1.0 if scenario == "published" else 1 - rate
                _, _, as_neg, d_neg = losses(f[i], loss)
                minus += share * as_neg / len(unlabelled)
                d_minus[i] += share * d_neg / len(unlabelled)
            part, d_part, clamped = _clamped(plus, d_plus, minus, d_minus, beta, gamma)
            n_clamped, n_pu = n_clamped + clamped, n_pu + 1
        value += weight * part
        grad += weight * d_part
    return value, grad, n_clamped, n_pu, n_fell
