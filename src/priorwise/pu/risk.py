"""Positive-unlabelled risk of a batch: three scenarios, with and without the non-negative clamp.

Kiryo, Niu, du Plessis, Sugiyama: "Positive-unlabeled learning with non-negative risk estimator",
NeurIPS 2017, equation 6 and algorithm 1. With f the logit, l(f) the loss of predicting a positive,
l(-f) that of predicting a negative, and [x]_+ = max(0, x):

* ``published``: pi E_P l(f) + [E_{s=0} l(-f) - pi E_P l(-f)]_+, one mean over all labelled rows
  and one over all unlabelled rows of a batch, both polarities together, pi looked up per row. What
  bittremieuxlab/pu_ms2_identifiability trains with. Kiryo's U is a sample of the population that
  pi describes; here it is the rows with s = 0, whose share of positives is alpha < pi, so
  positives are over-predicted.
* ``censoring``: one table, of which some positives are labelled; the target is all its rows. From
  E_x = s E_{s=1} + (1-s) E_{s=0} with labels selected completely at random,
  weighted: pi E_P l(f) + [(1-s) E_{s=0} l(-f) - (pi-s) E_P l(-f)]_+ with s of the whole table, so
  that a batch adds no noise to it and may be balanced at will;
  marginal: pi E_P l(f) + [E_all l(-f) - pi E_P l(-f)]_+ (Mielniczuk & Wawrzenczyk 2023,
  arXiv 2312.02095), which needs batches drawn at random. Equal where s is the batch's fraction.
* ``case_control``: labelled rows are a sample of their own; the target is the unlabelled rows.
  Kiryo's formula with their share of positives: alpha E_P l(f) + [E_{s=0} l(-f)
  - alpha E_P l(-f)]_+.

The last two are computed and clamped per polarity, then weighted by the polarity's share of the
target's rows in the batch: all rows for ``censoring``, unlabelled rows for ``case_control`` (how
many labelled rows one happens to have of a polarity says nothing about the target).

Without the clamp (``non_negative=False``) each is the unbiased risk of du Plessis, Niu &
Sugiyama, "Convex formulation for learning from positive and unlabeled data", ICML 2015.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional

from priorwise.pu.rates import ClassPrior, PolarityPriors

Scenario = Literal["published", "censoring", "case_control"]
CensoringForm = Literal["weighted", "marginal"]
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
        Strata with a PU risk: at most 1 for published, else one a polarity.
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


def prior_in_loss(prior: ClassPrior, scenario: Scenario) -> float:
    """Class prior that enters the risk: alpha for case_control, else pi.

    Under ``published`` it meets unlabelled rows, where alpha belongs.
    """
    check_choice("scenario", scenario, get_args(Scenario))
    return prior.alpha if scenario == "case_control" else prior.pi


def stratum_rates(
    prior: ClassPrior, scenario: Scenario, censoring_form: CensoringForm, fraction: float
) -> tuple[float, float]:
    """(p, s) with which p E_P l(f) + [(1-s) E_{s=0} l(-f) - (p-s) E_P l(-f)]_+ is the risk.

    Parameters
    ----------
    prior : ClassPrior
        Of the stratum's polarity.
    scenario : {"censoring", "case_control"}
    censoring_form : {"weighted", "marginal"}
    fraction : float
        Labelled fraction of the rows at hand: with it in place of s, the formula is the marginal
        form, because E_all = fraction E_{s=1} + (1 - fraction) E_{s=0} over these rows.

    Returns
    -------
    tuple of float
    """
    if scenario == "case_control":
        return prior.alpha, 0.0
    return prior.pi, fraction if censoring_form == "marginal" else prior.s


def pu_risk(
    logits: Tensor,
    s: Tensor,
    positive_mode: Tensor,
    priors: PolarityPriors,
    *,
    scenario: Scenario,
    censoring_form: CensoringForm = "weighted",
    non_negative: bool = True,
    loss: Loss = "logistic",
    fallback: Fallback = "bce",
    beta: float = 0.0,
    gamma: float = 1.0,
) -> Risk:
    """PU risk of a batch.

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
    scenario : {"published", "censoring", "case_control"}
        See the module's text.
    censoring_form : {"weighted", "marginal"}
        Which form of the censoring risk; the others have one only.
    non_negative : bool
        False = no clamp: the unbiased risk, which can become negative.
    loss : {"logistic", "sigmoid"}
        l.
    fallback : {"bce", "skip"}
        For a stratum (published: the batch; else a polarity in it) without labelled or
        without unlabelled rows: the mean binary cross-entropy with s as target, as published,
        or nothing (0 with a zero gradient, still part of the graph). A skipped polarity keeps
        its weight: the other one does not count for more. For case_control a polarity without
        unlabelled rows has weight 0, unless the whole batch has none: then rows count.
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
    check_choice("scenario", scenario, get_args(Scenario))
    check_choice("censoring_form", censoring_form, get_args(CensoringForm))
    check_choice("loss", loss, get_args(Loss))
    check_choice("fallback", fallback, get_args(Fallback))
    if not beta >= 0:
        raise ValueError(f"beta: expected at least 0, got {beta}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma: expected a value in [0, 1], got {gamma}")
    labelled, positive_mode = row_masks(logits, s, positive_mode)
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
        if non_negative and negative_part.item() < -beta:
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

    of_target = ~labelled if scenario == "case_control" else torch.ones_like(labelled)
    if not of_target.any():
        of_target = torch.ones_like(labelled)
    total, n_clamped, strata, fell_back = nothing, 0, 0, 0
    for mode in (True, False):
        rows = positive_mode if mode else ~positive_mode
        if not rows.any():
            continue
        share = (rows & of_target).sum().item() / of_target.sum().item()
        prior = priors.of(mode)
        p, u = rows & labelled, rows & ~labelled
        if not p.any() or not u.any():
            part, fell_back = plain(rows), fell_back + 1
        else:
            fraction = p.sum().item() / rows.sum().item()
            share_p, rate = stratum_rates(prior, scenario, censoring_form, fraction)
            part, clamped = clamp(
                share_p * as_positive[p].mean(),
                (1 - rate) * as_negative[u].mean() - (share_p - rate) * as_negative[p].mean(),
            )
            n_clamped, strata = n_clamped + clamped, strata + 1
        total = total + share * part
    return Risk(total, n_clamped, strata, fell_back)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices, by a ValueError that names them."""
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def row_masks(logits: Tensor, s: Tensor, positive_mode: Tensor) -> tuple[Tensor, Tensor]:
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
