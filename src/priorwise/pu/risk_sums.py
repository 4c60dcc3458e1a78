"""The PU risk of a whole table, from sums over its batches.

The clamp of a risk acts on the table as a whole, so the risks of batches cannot be averaged; the
sums below can, over batches and ranks, and their order does not matter.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from priorwise.pu.rates import PolarityPriors
from priorwise.pu.risk import (
    LOSSES,
    CensoringForm,
    Loss,
    Scenario,
    check_choice,
    row_masks,
    stratum_rates,
)


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
        """Sum up one batch; arguments as for `priorwise.pu.risk.pu_risk`."""
        check_choice("loss", loss, get_args(Loss))
        labelled, positive_mode = row_masks(logits, s, positive_mode)
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

    def risk(
        self,
        priors: PolarityPriors,
        scenario: Scenario,
        beta: float = 0.0,
        *,
        censoring_form: CensoringForm = "weighted",
        non_negative: bool = True,
    ) -> float:
        """Risk of all rows summed, clamped once over all of them (per polarity where it is so).

        Parameters
        ----------
        priors : PolarityPriors
        scenario : {"published", "censoring", "case_control"}
        beta : float
        censoring_form : {"weighted", "marginal"}
        non_negative : bool
            As for `priorwise.pu.risk.pu_risk`.

        Returns
        -------
        float
            nan where it is not defined: a stratum has rows but lacks labelled or unlabelled ones,
            or there are no rows at all.
        """
        check_choice("scenario", scenario, get_args(Scenario))
        check_choice("censoring_form", censoring_form, get_args(CensoringForm))
        present = [(bool(row == 0), v) for row, v in enumerate(self.values) if v[0] + v[1] > 0]
        floor = -beta if non_negative else -np.inf
        if scenario == "published":
            pi = np.array([priors.of(mode).pi for mode, _ in present])
            n_p, n_u, lp_pos, lp_neg, lu_neg = np.array([v for _, v in present]).reshape(-1, 5).T
            if not n_p.sum() or not n_u.sum():
                return float("nan")
            positive_part = float(pi @ lp_pos / n_p.sum())
            negative_part = float(lu_neg.sum() / n_u.sum() - pi @ lp_neg / n_p.sum())
            return positive_part + float(max(floor, negative_part))
        if any(not v[0] or not v[1] for _, v in present) or not present:
            return float("nan")
        of_target = [v[1] if scenario == "case_control" else v[0] + v[1] for _, v in present]
        total = 0.0
        for (mode, (n_p, n_u, lp_pos, lp_neg, lu_neg)), n in zip(present, of_target, strict=True):
            p, s = stratum_rates(priors.of(mode), scenario, censoring_form, n_p / (n_p + n_u))
            in_clamp = (1 - s) * lu_neg / n_u - (p - s) * lp_neg / n_p
            total += float(n / sum(of_target) * (p * lp_pos / n_p + max(floor, in_clamp)))
        return total
