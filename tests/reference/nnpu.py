"""PU risks in NumPy, from Kiryo et al. 2017 (eq. 6, algorithm 1); no autograd.

Censoring, marginal form: Mielniczuk & Wawrzenczyk 2023 (all rows in place of the unlabelled ones).
Unbiased risk: du Plessis et al. 2015.

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


def _strata(s, positive_mode, scenario):
    """(weight, rows) of each part that is computed and clamped on its own."""
    everywhere = list(range(len(s)))
    if scenario == "published":
        return [(1.0, everywhere)]
    target = [i for i in everywhere if not s[i]] if scenario == "case_control" else everywhere
    target = target or everywhere
    parts = [[i for i in everywhere if bool(positive_mode[i]) == mode] for mode in (True, False)]
    return [(len(set(rows) & set(target)) / len(target), rows) for rows in parts if rows]


def risk(
    f,
    s,
    positive_mode,
    priors,
    scenario,
    loss="logistic",
    fallback="bce",
    beta=0.0,
    gamma=1.0,
    censoring_form="weighted",
    non_negative=True,
):
    """(value, gradient, clamped, strata, fell_back); priors = {True: (pi, s), False: (pi, s)}."""
    n = len(f)
    value, grad, n_clamped, n_pu, n_fell = 0.0, np.zeros(n), 0, 0, 0
    for weight, rows in _strata(s, positive_mode, scenario):
        labelled = [i for i in rows if s[i]]
        unlabelled = [i for i in rows if not s[i]]
        if not labelled or not unlabelled:
            n_fell += 1
            part, d_part = _bce(rows, f, s) if fallback == "bce" else (0.0, np.zeros(n))
            value += weight * part
            grad += weight * d_part
            continue
        plus = minus = 0.0
        d_plus, d_minus = np.zeros(n), np.zeros(n)
        for i in labelled:
            pi, rate = priors[bool(positive_mode[i])]
            prior = (pi - rate) / (1 - rate) if scenario == "case_control" else pi
            as_pos, d_pos, as_neg, d_neg = losses(f[i], loss)
            plus += prior * as_pos / len(labelled)
            d_plus[i] += prior * d_pos / len(labelled)
            weighted = scenario == "censoring" and censoring_form == "weighted"
            taken_back = pi - rate if weighted else prior
            minus -= taken_back * as_neg / len(labelled)
            d_minus[i] -= taken_back * d_neg / len(labelled)
        marginal = scenario == "censoring" and censoring_form == "marginal"
        sample = rows if marginal else unlabelled
        for i in sample:
            _, rate = priors[bool(positive_mode[i])]
            share = 1 - rate if scenario == "censoring" and not marginal else 1.0
            _, _, as_neg, d_neg = losses(f[i], loss)
            minus += share * as_neg / len(sample)
            d_minus[i] += share * d_neg / len(sample)
        if non_negative:
            part, d_part, clamped = _clamped(plus, d_plus, minus, d_minus, beta, gamma)
        else:
            part, d_part, clamped = plus + minus, d_plus + d_minus, 0
        n_clamped, n_pu = n_clamped + clamped, n_pu + 1
        value += weight * part
        grad += weight * d_part
    return value, grad, n_clamped, n_pu, n_fell
