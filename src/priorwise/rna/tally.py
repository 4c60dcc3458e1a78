"""Metrics of an epoch from sums over its batches: none is a mean of means."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from priorwise.learn.focal import Normalizer
from priorwise.rna.batches import RnaBatch
from priorwise.rna.masking import IGNORED
from priorwise.rna.network import RnaAnswer
from priorwise.rna.objective import PairCells, RnaObjective, RnaSums, counted_cells

#: hits of both classifiers and of the pairs at the threshold
COUNTS = ("mlm_right", "loops_right", "found", "called")


@dataclass
class EpochTally:
    """Adds up what the metrics of an epoch need; its state is a list of plain numbers.

    Attributes
    ----------
    sums : numpy.ndarray of shape (9,)
        As in `RnaSums`, over all sequences.
    counts : numpy.ndarray of shape (4,)
        Masked bases and loop types that were told right; pairs found and cells called pairs.
    """

    objective: RnaObjective
    threshold: float
    sums: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(RnaSums._fields)))
    counts: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(COUNTS)))

    @torch.no_grad()
    def add(self, answer: RnaAnswer, batch: RnaBatch, sums: RnaSums) -> None:
        """Take in a batch."""
        self.sums += _numbers(sums.over_all())
        cells = counted_cells(answer.pairs, batch)
        called = called_pairs(cells, self.threshold)
        self.counts += _numbers(
            (
                _right(answer.nucleotides, batch.labels),
                _right(answer.loops, batch.loops),
                (called & cells.targets).sum(),
                called.sum(),
            )
        )

    def metrics(self, prefix: str) -> dict[str, float]:
        """Losses and accuracies, under names that begin with `prefix`."""
        sums = RnaSums(*(torch.tensor(value) for value in self.sums))
        losses = self.objective.losses(sums)
        mlm_right, loops_right, found, called = self.counts
        precision, recall = ratio(found, called), ratio(found, float(sums.pairs))
        found_of_both = ratio(2 * found, called + float(sums.pairs))
        values = {
            "loss": float(losses.total),
            "mlm_loss": float(losses.mlm),
            "structure_loss": float(losses.structure),
            "pair_loss": float(losses.pair),
            "mlm_accuracy": ratio(mlm_right, float(sums.asked)),
            "structure_accuracy": ratio(loops_right, float(sums.known)),
            "pair_precision": precision,
            "pair_recall": recall,
            "pair_f1": found_of_both,
        }
        return {f"{prefix}_{name}": value for name, value in values.items()}

    def loss_on_scale_of(self, objective: RnaObjective, normalizer: Normalizer) -> float:
        """The same sums with other weights and another normaliser."""
        sums = RnaSums(*(torch.tensor(value) for value in self.sums))
        return float(objective.losses(sums, normalizer).total)

    def state(self) -> list[float]:
        """For a checkpoint."""
        return [*self.sums.tolist(), *self.counts.tolist()]

    def restore(self, state: Sequence[float]) -> None:
        """Go on from `state`."""
        self.sums = np.array(state[: len(self.sums)])
        self.counts = np.array(state[len(self.sums) :])


def called_pairs(cells: PairCells, threshold: float) -> torch.Tensor:
    """Cells whose probability is at or above a threshold, before any decoding."""
    return (torch.sigmoid(cells.logits) >= threshold) & cells.valid


def ratio(part: float, whole: float) -> float:
    """A share; 0 of nothing is 0."""
    return float(part / whole) if whole else 0.0


def _right(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return ((logits.argmax(-1) == labels) & (labels != IGNORED)).sum()


def _numbers(values: Sequence[torch.Tensor]) -> npt.NDArray[np.float64]:
    return np.array([float(value) for value in values])
