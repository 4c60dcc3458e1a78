"""What an epoch's validation adds up, and the metrics that follow; none needs a negative."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from priorwise.pu import selection
from priorwise.pu.risk_sums import RiskSums
from priorwise.pu.score_histogram import ScoreHistogram
from priorwise.spectra.objective import Objective
from priorwise.spectra.schema import POLARITIES

#: (sums or extremes of one rank, "sum" or "max") -> the same over all ranks
OverRanks = Callable[[NDArray[np.float64], str], NDArray[np.float64]]


class ValidationTally:
    """Adds up rows of the validation table; the result depends neither on batches nor on ranks.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        # rows, labelled, predicted, predicted and labelled, sum of cross-entropies, per polarity
        self._counts = np.zeros((2, 5))
        self._risk = RiskSums.zero()
        self._seen: list[tuple[NDArray[np.float64], ...]] = []  # logit, s, positive mode

    def add(self, logits: Tensor, s: Tensor, positive_mode: Tensor) -> None:
        """Add a batch: logits, labels and polarity of shape (n_rows,)."""
        predicted = (logits >= 0).double()  # probability >= 0.5
        bce = F.binary_cross_entropy_with_logits(logits, s, reduction="none").double()
        for row, mode in enumerate((positive_mode, ~positive_mode)):
            labelled, yhat = s[mode].double(), predicted[mode]
            sums = (len(yhat), labelled.sum(), yhat.sum(), (labelled * yhat).sum(), bce[mode].sum())
            self._counts[row] += [float(value) for value in sums]
        if self._objective.kind == "nnpu":
            self._risk += RiskSums.of(logits, s, positive_mode, self._objective.loss)
        rows = (logits.detach(), s, positive_mode)
        self._seen.append(tuple(values.double().cpu().numpy() for values in rows))

    def metrics(self, over_ranks: OverRanks) -> dict[str, float]:
        """Metrics of the whole table.

        Parameters
        ----------
        over_ranks : callable
            Every rank calls it as often as the others, and gets the same.

        Returns
        -------
        dict of str -> float
            val_loss, val_recall, q, pu_f, score_spread; for cross-entropy labelled_auc; for a PU
            risk nnpu_risk (= val_loss), proxy_f1, proxy_accuracy, pu_auc, q_gap, and each
            polarity's val_recall, q and prior.
        """
        counts = over_ranks(self._counts, "sum")
        rows, labelled, predicted, hits, bce = (float(value) for value in counts.sum(axis=0))
        recall, q = hits / labelled if labelled else float("nan"), predicted / rows
        metrics = {"val_loss": bce / rows, "val_recall": recall, "q": q}
        metrics["pu_f"] = selection.pu_f(recall, q)
        seen = self._all_seen()
        areas = _labelled_aucs(seen, over_ranks)
        if self._objective.pi:
            risk = RiskSums(over_ranks(self._risk.values, "sum"))
            metrics |= self._of_priors(counts, risk, areas)
        else:
            metrics["labelled_auc"] = _mean_where_defined(areas, counts[:, 0])
        metrics["score_spread"] = _spread(seen[0], over_ranks)
        return metrics

    def _of_priors(
        self, counts: NDArray[np.float64], sums: RiskSums, areas: NDArray[np.float64]
    ) -> dict[str, float]:
        """Metrics that need a prior, over the rows that the scenario is about.

        Recall is weighted over polarities by their expected positives, not by their labelled
        rows: a polarity of which more is labelled has no more positives. PU-AUC is the mean over
        polarities, weighted by rows, of each one's own with its own alpha: scores of different
        polarities are never compared with each other.
        """
        objective = self._objective
        risk = sums.risk(
            objective.priors(),
            objective.scenario,
            censoring_form=objective.censoring_form,
            non_negative=objective.non_negative,
        )
        metrics = {"val_loss": risk, "nnpu_risk": risk}
        rows, labelled, predicted, hits, _ = counts.T
        target, called = rows, predicted
        if objective.scenario == "case_control":
            target, called = rows - labelled, predicted - hits
        prior, alpha = (
            np.array([of.get(mode, 0.0) for mode in POLARITIES])
            for of in (objective.target_priors(), objective.alphas())
        )
        with np.errstate(invalid="ignore"):
            recalls, shares = hits / labelled, called / target
        pi = float(prior @ target / target.sum())
        q = float(called.sum() / target.sum())
        recall = _mean_where_defined(recalls, prior * target)
        corrected = [
            selection.pu_auc(float(a), float(share)) for a, share in zip(areas, alpha, strict=True)
        ]
        metrics["proxy_f1"] = selection.proxy_f1(recall, q, pi)
        metrics["proxy_accuracy"] = selection.proxy_accuracy(recall, q, pi)
        metrics["pu_auc"] = _mean_where_defined(np.array(corrected), target)
        metrics["q_gap"] = selection.q_gap(q, pi)
        for row, mode in enumerate(POLARITIES):
            if labelled[row]:
                metrics[f"val_recall.{mode}"] = float(recalls[row])
                metrics[f"q.{mode}"] = float(predicted[row] / rows[row])
                name = "pi"
                if objective.scenario == "case_control":
                    metrics[f"q_unlabelled.{mode}"], name = float(shares[row]), "alpha"
                metrics[f"{name}.{mode}"] = float(prior[row])
        return metrics

    def _all_seen(self) -> tuple[NDArray[np.float64], ...]:
        if not self._seen:
            return (np.zeros(0),) * 3
        return tuple(np.concatenate(values) for values in zip(*self._seen, strict=True))


def _labelled_aucs(
    seen: tuple[NDArray[np.float64], ...], over_ranks: OverRanks
) -> NDArray[np.float64]:
    """Area of labelled against unlabelled rows of each polarity; nan where undefined."""
    logits, s, positive_mode = seen
    modes = (positive_mode > 0.5, positive_mode < 0.5)
    counts = [ScoreHistogram.of(logits[mode], s[mode] > 0.5).counts for mode in modes]
    return np.array(
        [ScoreHistogram(of).labelled_auc() for of in over_ranks(np.stack(counts), "sum")]
    )


def _spread(logits: NDArray[np.float64], over_ranks: OverRanks) -> float:
    """Highest minus lowest logit."""
    ends = (logits.max(), (-logits).max()) if len(logits) else (-np.inf, -np.inf)
    return float(over_ranks(np.array(ends), "max").sum())


def _mean_where_defined(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Weighted mean of the values that are numbers; nan without any."""
    known = ~np.isnan(values) & (weights > 0)
    return float(np.average(values[known], weights=weights[known])) if known.any() else np.nan
