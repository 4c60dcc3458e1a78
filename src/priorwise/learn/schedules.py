"""The learning rate of a step: a linear warmup, then a decay to a floor, where it stays.

lr(t) = lr_min + (lr_max - lr_min) (1 + cos(pi t)) / 2 with t the share of the decay that is done:
the cosine of Loshchilov & Hutter, "SGDR", ICLR 2017, equation 5, without restarts. genesis_rna had
the same values up to the last step, after which its rate rose again.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

Kind = Literal["cosine", "linear", "constant"]


def learning_rate_factor(
    step: ArrayLike,
    *,
    warmup: int,
    total: int,
    kind: Kind = "cosine",
    min_ratio: float = 0.1,
) -> NDArray[np.float64]:
    """Learning rate of a step, as a fraction of its peak.

    Parameters
    ----------
    step : array_like
        Optimiser steps done before the one at hand, at least 0. Step 0 of a warmup has a rate of
        0, as published; later than `total`, the rate stays what it was there.
    warmup : int
        Steps until the peak; 0 = begin at the peak.
    total : int
        Steps of the whole training. If it is not more than `warmup`, there is no decay, and the
        peak is not passed.
    kind : {"cosine", "linear", "constant"}
        How the rate falls; constant: it stays at its peak.
    min_ratio : float in [0, 1]
        The floor, as a fraction of the peak.

    Returns
    -------
    numpy.ndarray of the shape of `step`

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """
    if warmup < 0:
        raise ValueError(f"warmup: expected at least 0 steps, got {warmup}")
    if total < 1:
        raise ValueError(f"total: expected at least 1 step, got {total}")
    if not 0 <= min_ratio <= 1:
        raise ValueError(f"min_ratio: expected 0 to 1, got {min_ratio}")
    if kind not in get_args(Kind):
        raise ValueError(f"kind: expected cosine, linear or constant, got {kind!r}")
    at = np.asarray(step, dtype=np.float64)
    if np.any(at < 0):
        raise ValueError("step: expected at least 0")
    at = np.minimum(at, total)
    done = np.clip((at - warmup) / max(total - warmup, 1), 0, 1)
    if kind == "cosine":
        left = (1 + np.cos(np.pi * done)) / 2
    elif kind == "linear":
        left = 1 - done
    else:
        left = np.ones_like(done)
    factor = np.where(at < warmup, at / max(warmup, 1), min_ratio + (1 - min_ratio) * left)
    return np.asarray(factor, dtype=np.float64)


def scheduler(
    optimizer: Optimizer,
    *,
    warmup: int,
    total: int,
    kind: Kind = "cosine",
    min_ratio: float = 0.1,
) -> LambdaLR:
    """Torch scheduler of `learning_rate_factor`; call its `step` after each optimiser step.

    All that it remembers is the number of steps, so a resumed training has the same rates.
    """

    def factor(step: int) -> float:
        return float(
            learning_rate_factor(step, warmup=warmup, total=total, kind=kind, min_ratio=min_ratio)
        )

    factor(0)  # bad arguments are named here, not by torch
    return LambdaLR(optimizer, factor)


def change_peak(rates: LambdaLR, optimizer: Optimizer, peak: float) -> None:
    """Have a scheduler that was taken up again go on at another peak; the same one changes nothing.

    Parameters
    ----------
    rates : LambdaLR
    optimizer : torch.optim.Optimizer
        The scheduler's.
    peak : float
        Learning rate after the warmup.
    """
    rates.base_lrs = [peak for _ in rates.base_lrs]
    for group, factor in zip(optimizer.param_groups, rates.lr_lambdas, strict=True):
        group["initial_lr"], group["lr"] = peak, peak * factor(rates.last_epoch)


def warmup_problem(warmup: int, total: int) -> str | None:
    """What a user should hear about a warmup as long as the training; None if it is shorter."""
    if warmup < total:
        return None
    return (
        f"the warmup of {warmup} steps is not shorter than the training of {total} steps: the "
        f"learning rate gets to {total / max(warmup, 1):.0%} of its peak and is never lowered "
        "(expected fewer warmup steps, or more epochs)"
    )
