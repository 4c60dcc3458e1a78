"""What a spectra training minimises, and what its state has to look like to be of use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from priorwise.pu.rates import ClassPrior, PolarityPriors
from priorwise.pu.risk import CensoringForm, Fallback, Loss, Scenario
from priorwise.pu.selection import degenerate


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Attributes
    ----------
    kind : {"bce", "nnpu"}
        Binary cross-entropy of s, or the PU risk.
    pos_weight : float
        Weight of labelled rows in the cross-entropy (1 = none).
    scenario, censoring_form, non_negative, loss, fallback
        As for `priorwise.pu.risk.pu_risk` (nnPU).
    pi, s : dict of polarity -> float
        Class prior and labelled fraction (nnPU).
    """

    kind: Literal["bce", "nnpu"] = "bce"
    pos_weight: float = 1.0
    scenario: Scenario = "published"
    censoring_form: CensoringForm = "weighted"
    non_negative: bool = True
    loss: Loss = "logistic"
    fallback: Fallback = "bce"
    pi: dict[str, float] | None = None
    s: dict[str, float] | None = None

    def priors(self) -> PolarityPriors:
        """The priors as the risk wants them."""
        pi, s = self.pi or {}, self.s or {}
        return PolarityPriors(**{mode: ClassPrior(pi[mode], s[mode]) for mode in pi})

    def target_priors(self) -> dict[str, float]:
        """Positive share of the target's rows, per polarity: pi; alpha if these are unlabelled."""
        return self.alphas() if self.scenario == "case_control" else dict(self.pi or {})

    def alphas(self) -> dict[str, float]:
        """Positive share of the unlabelled rows, per polarity."""
        priors = self.priors()
        return {mode: priors.of(mode == "positive").alpha for mode in self.pi or {}}

    def degenerate(self, metrics: Mapping[str, float]) -> str | None:
        """Why the model of an epoch is degenerate; None if it is not, or without these metrics.

        For cross-entropy only constant scores count: a perfect score of s never exceeds c, so
        that calling no row positive is normal where c < 0.5.
        """
        for name in ("val_loss", "score_spread"):
            if not math.isfinite(metrics.get(name, 0.0)):
                return f"{name} = {metrics[name]}: the scores are not finite"
        spread = metrics.get("score_spread", float("nan"))
        if self.kind == "bce" or not self.pi:
            return degenerate(None, spread)
        q = metrics.get("q")
        # rows of both polarities are counted together: both priors must leave no excuse
        reasons = [degenerate(q, spread, pi) for pi in self.pi.values()]
        return reasons[0] if all(reasons) else None

    def degenerate_in_a_polarity(self, metrics: Mapping[str, float]) -> str | None:
        """The same, if the rows of one polarity alone are all on one side, too."""
        if reason := self.degenerate(metrics):
            return reason
        for mode, pi in (self.pi or {}).items():
            reason = degenerate(metrics.get(f"q.{mode}"), float("nan"), pi)
            if reason:
                return f"{mode} mode: {reason}"
        return None
