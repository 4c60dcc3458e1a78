"""Focal loss in plain Python, from Lin et al. 2017 (equation 5); the probability, not the logit.

FL = -alpha_t (1 - p_t)^gamma log(p_t). The gradient by the chain rule over p_t, which is how the
paper's appendix has it: d FL / d p_t times d p_t / d z = +-p_t (1 - p_t).
"""

import math

import numpy as np


def cell(logit, positive, alpha, gamma):
    """Loss and its derivative by the logit, of one cell."""
    p = 1 / (1 + math.exp(-logit))
    p_t, alpha_t, sign = (p, alpha, 1) if positive else (1 - p, 1 - alpha, -1)
    loss = -alpha_t * (1 - p_t) ** gamma * math.log(p_t)
    by_p = (0 if gamma == 0 else gamma * (1 - p_t) ** (gamma - 1) * math.log(p_t)) - (
        1 - p_t
    ) ** gamma / p_t
    return loss, alpha_t * by_p * sign * p_t * (1 - p_t)


def focal(logits, targets, mask, alpha, gamma, normalizer):
    """Value and gradient of the batch, and the value of each sample."""
    total, cells, positives = 0.0, 0, 0
    gradient = np.zeros(np.shape(logits))
    samples = []
    for b in range(len(logits)):
        own, own_cells, own_positives = 0.0, 0, 0
        for at in np.ndindex(*np.shape(logits)[1:]):
            where = (b, *at)
            if not mask[where]:
                continue
            value, slope = cell(logits[where], targets[where], alpha, gamma)
            own, own_cells = own + value, own_cells + 1
            own_positives += bool(targets[where])
            gradient[where] = slope
        samples.append(own / max(own_cells if normalizer == "cells" else own_positives, 1))
        total, cells, positives = total + own, cells + own_cells, positives + own_positives
    number = max(cells if normalizer == "cells" else positives, 1)
    return total / number, gradient / number, np.array(samples)
