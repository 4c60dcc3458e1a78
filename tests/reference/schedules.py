"""The published schedule, step by step (genesis_rna, as described in its text), held at its end.

step / W while it is below W; then, with t = (step - W) / (N - W): cosine r + (1 - r) (1 + cos(pi
t)) / 2, linear r + (1 - r) (1 - t), constant 1.
"""

import math


def factor(step, warmup, total, kind, floor):
    step = min(step, total)
    if step < warmup:
        return step / warmup
    if kind == "constant" or total <= warmup:
        return 1.0
    t = (step - warmup) / (total - warmup)
    if kind == "linear":
        return floor + (1 - floor) * (1 - t)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * t))
