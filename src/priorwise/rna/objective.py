"""The three losses of the multi-task training, and how they are added up."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.learn.focal import Normalizer, binary_focal_loss
from priorwise.rna.batches import RnaBatch
from priorwise.rna.masking import IGNORED
from priorwise.rna.network import RnaAnswer
from priorwise.rna.structure import MIN_LOOP


class RnaSums(NamedTuple):
    """Sums of losses, and how many things they are sums over, of each sequence or of all.

    Attributes
    ----------
    mlm, asked : torch.Tensor of shape (batch,)
        Cross-entropy of the bases that were asked for, in nats, and their number.
    structure, known : torch.Tensor of shape (batch,)
        Cross-entropy of the loop types that are known, and their number.
    pair, pairs, cells : torch.Tensor of shape (batch,)
        Pair loss over all cells that count, true pairs among them, and their number.
    folding, folded : torch.Tensor of shape (batch,)
        Cross-entropy against the teacher's pair probabilities, and their sum; 0 without a teacher.
    """

    mlm: torch.Tensor
    asked: torch.Tensor
    structure: torch.Tensor
    known: torch.Tensor
    pair: torch.Tensor
    pairs: torch.Tensor
    cells: torch.Tensor
    folding: torch.Tensor
    folded: torch.Tensor

    def over_all(self) -> "RnaSums":
        """The sums over all sequences."""
        return RnaSums(*(value.sum() for value in self))


class RnaLosses(NamedTuple):
    """Mean losses: the weighted total of the three tasks, its parts, and that of the teacher."""

    total: torch.Tensor
    mlm: torch.Tensor
    structure: torch.Tensor
    pair: torch.Tensor
    folding: torch.Tensor


class PairCells(NamedTuple):
    """The cells i < j that count, as flat vectors.

    Attributes
    ----------
    logits : torch.Tensor of shape (batch, cells)
    targets, valid : torch.Tensor of shape (batch, cells), bool
        A cell counts if both are bases of a sequence whose structure is known.
    """

    logits: torch.Tensor
    targets: torch.Tensor
    valid: torch.Tensor


@dataclass(frozen=True)
class RnaObjective:
    """Weights and form of the losses; the defaults are the seed's values.

    Attributes
    ----------
    mlm_loss_weight, structure_loss_weight, pair_loss_weight : float
    use_focal_loss_for_pairs : bool
        False: binary cross-entropy.
    focal_alpha : float
        Weight of pairs in [0, 1]; cells that do not pair have 1 - alpha.
    focal_gamma : float
        At least 0; how strongly easy cells count less.
    focal_normalizer : {"positives", "cells"}
        Divide the sum over cells by the number of pairs (RetinaNet), or of cells (published).
    """

    mlm_loss_weight: float = 1.0
    structure_loss_weight: float = 0.8
    pair_loss_weight: float = 1.5
    use_focal_loss_for_pairs: bool = True
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    focal_normalizer: Normalizer = "positives"

    def sums(self, answer: RnaAnswer, batch: RnaBatch) -> RnaSums:
        """Sums of each sequence of a batch."""
        cells = counted_cells(answer.pairs, batch)
        pairs = cells.targets.sum(1)
        return RnaSums(
            mlm=_cross_entropy(answer.nucleotides, batch.labels),
            asked=(batch.labels != IGNORED).sum(1),
            structure=_cross_entropy(answer.loops, batch.loops),
            known=(batch.loops != IGNORED).sum(1),
            pair=self._pair_sums(cells, pairs),
            pairs=pairs,
            cells=cells.valid.sum(1),
            **_folding(answer, batch),
        )

    def losses(self, sums: RnaSums, normalizer: Normalizer | None = None) -> RnaLosses:
        """Mean losses from sums; what nothing is known of contributes 0.

        Parameters
        ----------
        sums : RnaSums
            Of one sequence each, of a batch, or of an epoch.
        normalizer : {"positives", "cells"}, optional
            Other than the objective's own.
        """
        mlm = sums.mlm / sums.asked.clamp(min=1)
        structure = sums.structure / sums.known.clamp(min=1)
        by_pairs = (normalizer or self.focal_normalizer) == "positives"
        pair = sums.pair / (sums.pairs if by_pairs else sums.cells).clamp(min=1)
        total = (
            self.mlm_loss_weight * mlm
            + self.structure_loss_weight * structure
            + self.pair_loss_weight * pair
        )
        folding = sums.folding / sums.folded.clamp(min=1)
        return RnaLosses(total, mlm, structure, pair, folding)

    def _pair_sums(self, cells: PairCells, pairs: torch.Tensor) -> torch.Tensor:
        if not self.use_focal_loss_for_pairs:
            # what does not count may be infinite, as in the focal loss
            logits = cells.logits.masked_fill(~cells.valid, 0.0)
            losses = F.binary_cross_entropy_with_logits(
                logits, cells.targets.float(), reduction="none"
            )
            return (losses * cells.valid).sum(1)
        means = binary_focal_loss(
            cells.logits,
            cells.targets,
            cells.valid,
            alpha=self.focal_alpha,
            gamma=self.focal_gamma,
            normalizer="positives",
            reduction="sample",
        )
        return means * pairs.clamp(min=1)


def _cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sum over the bases with a label, of each sequence."""
    losses = F.cross_entropy(
        logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
    )
    return losses.sum(1)


def _folding(answer: RnaAnswer, batch: RnaBatch) -> dict[str, torch.Tensor]:
    """Sums of what the second output has to learn; structures need not be known for it.

    Divided by the sum of the probabilities, as the pair loss is divided by the pairs: a soft target
    in the cross-entropy (Hinton et al. 2015, Distilling the knowledge in a neural network).
    """
    if answer.folding is None or batch.teacher is None:
        nothing = torch.zeros(len(batch.row), device=batch.row.device)
        return {"folding": nothing, "folded": nothing}
    i, j = _upper(batch.present.shape[1], answer.folding.device)
    valid = batch.present[:, i] & batch.present[:, j]
    goal = batch.teacher[:, i, j] * valid
    logits = answer.folding[:, i, j].float().masked_fill(~valid, 0.0)
    losses = F.binary_cross_entropy_with_logits(logits, goal, reduction="none") * valid
    return {"folding": losses.sum(1), "folded": goal.sum(1)}


def counted_cells(logits: torch.Tensor, batch: RnaBatch) -> PairCells:
    """Cells i < j with room for a hairpin between them, of real bases of labelled sequences.

    Parameters
    ----------
    logits : torch.Tensor of shape (batch, bases, bases)
    batch : RnaBatch
    """
    width = batch.present.shape[1]
    i, j = _upper(width, logits.device)
    valid = batch.present[:, i] & batch.present[:, j] & batch.labelled[:, None]
    targets = (batch.pair_map()[:, i, j] > 0) & valid
    return PairCells(logits[:, i, j].float(), targets, valid)


@lru_cache(maxsize=64)
def _upper(width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    i, j = torch.triu_indices(width, width, MIN_LOOP + 1, device=device)
    return i, j
