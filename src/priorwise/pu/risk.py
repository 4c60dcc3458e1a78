"""Non-negative positive-unlabelled risk, Kiryo et al. 2017, in two scenarios.

Kiryo, Niu, du Plessis, Sugiyama: "Positive-unlabeled learning with non-negative risk estimator",
NeurIPS 2017, equation 6 and algorithm 1. With f the logit, l(f) the loss of predicting a positive
and l(-f) that of predicting a negative:

* ``published``: pi E_P l(f) + max(0, E_{s=0} l(-f) - pi E_P l(-f)), one mean over all labelled
  rows and one over all unlabelled rows of a batch, both polarities together, pi looked up per
  row. What bittremieuxlab/pu_ms2_identifiability trains with. Kiryo's U is a sample of **all**
  rows; here it is the rows with s = 0, so positives are over-predicted (see `censoring`).
* ``censoring``: pi E_P l(f) + max(0, (1-s) E_{s=0} l(-f) - (pi-s) E_P l(-f)), from
  E_x = s E_{s=1} + (1-s) E_{s=0} with labels selected completely at random; risk and clamp per
  polarity, weighted by the polarity's share of rows. s is that of the whole table, so a batch
  adds no noise to it, and batches may be balanced at will.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from priorwise.pu.priors import PolarityPriors

Scenario = Literal["published", "censoring"]
Loss = Literal["logistic", "sigmoid"]
Fallback = Literal["bce", "skip"]


class Risk(NamedTuple):
    """The risk of a batch, and how it came about.

    Attributes
    ----------
    objective : torch.Tensor of shape ()
        Its **value** is the risk to report; its **gradient** is the one to descend. They belong
        to different functions where the clamp is active.
    clamped : int
        Strata whose negative part was below -beta.
    strata : int
        Strata with a PU risk: at most 1 for published, one a polarity for censoring.
    fell_back : int
        Strata without labelled or without unlabelled rows.
    """

    objective: Tensor
    clamped: int
    strata: int
    fell_back: int


def logistic_loss(logits: Tensor, target: float) -> Tensor:
    """Logistic loss ln(1 + exp(-+f)) of each row, for target 1 or 0."""
    return functional.binary_cross_entropy_with_logits(
        logits, torch.full_like(logits, target), reduction="none"
    )


def sigmoid_loss(logits: Tensor, target: float) -> Tensor:
    """Sigmoid loss 1 / (1 + exp(+-f)) of each row, for target 1 or 0; Kiryo et al., section 2."""
    return torch.sigmoid(logits if target == 0 else -logits)


LOSSES: dict[Loss, Callable[[Tensor, float], Tensor]] = {
    "logistic": logistic_loss,
    "sigmoid": sigmoid_loss,
}


def pu_risk(
    logits: Tensor,
    s: Tensor,
    positive_mode: Tensor,
    priors: PolarityPriors,
    *,
    scenario: Scenario,
    loss: Loss = "logistic",
    fallback: Fallback = "bce",
    beta: float = 0.0,
    gamma: float = 1.0,
) -> Risk:
    """Non-negative PU risk of a batch.

    Where the negative part is below -beta, the value is pi E_P l(f) - beta and the gradient is
    -gamma times that of the negative part alone (algorithm 1: ascend on it, leave the rest).

    Parameters
    ----------
    logits : torch.Tensor of shape (n_rows,)
        f; half precision is computed in float32.
    s : torch.Tensor of shape (n_rows,)
        1 labelled, 0 unlabelled; bool, integer or float.
    positive_mode : torch.Tensor of shape (n_rows,), bool
        Polarity of each row.
    priors : PolarityPriors
        pi and s of each polarity that occurs.
    scenario : {"published", "censoring"}
        See the module's text.
    loss : {"logistic", "sigmoid"}
        l.
    fallback : {"bce", "skip"}
        For a stratum (published: the batch; censoring: a polarity in it) without labelled or
        without unlabelled rows: the mean binary cross-entropy with s as target, as published,
        or nothing (0 with a zero gradient, still part of the graph). A skipped polarity keeps
        its weight: the other one does not count for more.
    beta : float
        Tolerance of the clamp, at least 0.
    gamma : float
        Step discount in the clamped branch, in [0, 1].

    Returns
    -------
    Risk

    Raises
    ------
    ValueError
        If an argument is out of its range, shapes differ, or a polarity has rows but no prior.
    """
    _check_choice("scenario", scenario, get_args(Scenario))
    _check_choice("loss", loss, get_args(Loss))
    _check_choice("fallback", fallback, get_args(Fallback))
    if not beta >= 0:
        raise ValueError(f"beta: expected at least 0, got {beta}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a value in [0, 1], got {gamma}")
    labelled, positive_mode = _row_masks(logits, s, positive_mode)
    f = logits if logits.dtype == torch.float64 else logits.float()
    nothing = (f * 0).sum()
    if f.numel() == 0:
        return Risk(nothing, 0, 0, 0)
    as_positive, as_negative = LOSSES[loss](f, 1), LOSSES[loss](f, 0)

    def plain(rows: Tensor) -> Tensor:
        if fallback == "skip":
            return nothing
        target = labelled.to(f.dtype)
        each = functional.binary_cross_entropy_with_logits(f, target, reduction="none")
        return each[rows].mean()

    def clamp(positive_part: Tensor, negative_part: Tensor) -> tuple[Tensor, int]:
        if negative_part.item() < -beta:
            ascent = -gamma * negative_part
            return ascent + (positive_part - beta - ascent).detach(), 1
        return positive_part + negative_part, 0

    if scenario == "published":
        if labelled.all() or not labelled.any():
            return Risk(plain(torch.ones_like(labelled)), 0, 0, 1)
        pi = _pi_of_rows(positive_mode, priors, f.dtype)[labelled]
        objective, clamped = clamp(
            (pi * as_positive[labelled]).mean(),
            as_negative[~labelled].mean() - (pi * as_negative[labelled]).mean(),
        )
        return Risk(objective, clamped, 1, 0)

    total, n_clamped, strata, fell_back = nothing, 0, 0, 0
    for mode in (True, False):
        rows = positive_mode if mode else ~positive_mode
        share = rows.sum().item() / f.numel()
        if share == 0:
            continue
        prior = priors.of(mode)
        p, u = rows & labelled, rows & ~labelled
        if not p.any() or not u.any():
            part, fell_back = plain(rows), fell_back + 1
        else:
            part, clamped = clamp(
                prior.pi * as_positive[p].mean(),
                (1 - prior.s) * as_negative[u].mean()
                - (prior.pi - prior.s) * as_negative[p].mean(),
            )
            n_clamped, strata = n_clamped + clamped, strata + 1
        total = total + share * part
    return Risk(total, n_clamped, strata, fell_back)


@dataclass(frozen=True)
class RiskSums:
    """Sums from which the risk of a whole table follows; they add up over batches and ranks.

    Attributes
    ----------
    values : numpy.ndarray of shape (2, 5), float64
        Row 0 positive mode, row 1 negative mode. Columns: labelled rows, unlabelled rows, sum of
        l(f) over labelled, sum of l(-f) over labelled, sum of l(-f) over unlabelled.
    """

    values: NDArray[np.float64]

    @classmethod
    def zero(cls) -> "RiskSums":
        """Return the sums over no rows."""
        return cls(np.zeros((2, 5)))

    @classmethod
    def of(
        cls, logits: Tensor, s: Tensor, positive_mode: Tensor, loss: Loss = "logistic"
    ) -> "RiskSums":
        """Sum up one batch; arguments as for `pu_risk`."""
        _check_choice("loss", loss, get_args(Loss))
        labelled, positive_mode = _row_masks(logits, s, positive_mode)
        f = logits.detach().float()
        as_positive = LOSSES[loss](f, 1).double().cpu().numpy()
        as_negative = LOSSES[loss](f, 0).double().cpu().numpy()
        is_labelled, is_positive_mode = labelled.cpu().numpy(), positive_mode.cpu().numpy()
        sums = np.zeros((2, 5))
        for row, mode in enumerate((is_positive_mode, ~is_positive_mode)):
            p, u = mode & is_labelled, mode & ~is_labelled
            sums[row] = (
                p.sum(),
                u.sum(),
                as_positive[p].sum(),
                as_negative[p].sum(),
                as_negative[u].sum(),
            )
        return cls(sums)

    def __add__(self, other: "RiskSums") -> "RiskSums":
        """Add up the rows of both."""
        return RiskSums(self.values + other.values)

    def risk(self, priors: PolarityPriors, scenario: Scenario, beta: float = 0.0) -> float:
        """Risk of all rows summed, clamped once over all of them.

        Parameters
        ----------
        priors : PolarityPriors
        scenario : {"published", "censoring"}
        beta : float

        Returns
        -------
        float
            nan where it is not defined: a stratum has rows but lacks labelled or unlabelled ones,
            or there are no rows at all.
        """
        _check_choice("scenario", scenario, get_args(Scenario))
        present = [(bool(row == 0), v) for row, v in enumerate(self.values) if v[0] + v[1] > 0]
        n = sum(float(v[0] + v[1]) for _, v in present)
        if scenario == "published":
            pi = np.array([priors.of(mode).pi for mode, _ in present])
            n_p, n_u, lp_pos, lp_neg, lu_neg = np.array([v for _, v in present]).reshape(-1, 5).T
            if not n_p.sum() or not n_u.sum():
                return float("nan")
            positive_part = float(pi @ lp_pos / n_p.sum())
            negative_part = float(lu_neg.sum() / n_u.sum() - pi @ lp_neg / n_p.sum())
            return positive_part + max(-beta, negative_part)
        if any(not v[0] or not v[1] for _, v in present) or not present:
            return float("nan")
        total = 0.0
        for mode, v in present:
            prior = priors.of(mode)
            positive_part = prior.pi * v[2] / v[0]
            negative_part = (1 - prior.s) * v[4] / v[1] - (prior.pi - prior.s) * v[3] / v[0]
            total += float((v[0] + v[1]) / n * (positive_part + max(-beta, negative_part)))
        return total


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def _row_masks(logits: Tensor, s: Tensor, positive_mode: Tensor) -> tuple[Tensor, Tensor]:
    """Labelled and positive-mode rows as bool; a shape that differs would broadcast silently."""
    for name, rows in (("logits", logits), ("s", s), ("positive_mode", positive_mode)):
        if rows.ndim != 1 or rows.shape != logits.shape:
            expected = "(n_rows,)" if name == "logits" else f"{tuple(logits.shape)}"
            raise ValueError(f"{name}: expected shape {expected}, got {tuple(rows.shape)}")
    return s > 0.5, positive_mode.bool()


def _pi_of_rows(positive_mode: Tensor, priors: PolarityPriors, dtype: torch.dtype) -> Tensor:
    pi = torch.zeros_like(positive_mode, dtype=dtype)
    for mode in (True, False):
        rows = positive_mode if mode else ~positive_mode
        if rows.any():
            pi[rows] = priors.of(mode).pi
    return pi
