"""The published training loop, sparse training and validation, written anew from the description.

The sparse training chooses after the forward pass and runs backward through the whole batch; it
takes no step, of the schedule either, where nothing was chosen. The validation hides bases anew
each time, counts both triangles, and averages over batches, whatever their sizes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.published_rna import (
    IGNORED,
    Answer,
    Batch,
    PublishedNetwork,
    batch_of,
    cell_mask,
    lr_factor,
    pair_bce,
    pair_focal,
)
from priorwise.rna.rows import RnaRows

WEIGHTS = (1.0, 0.8, 1.5)  # nucleotides, structure, pairs
THRESHOLD = 0.35


@dataclass
class Controller:
    """Proportional-integral control of the threshold of the sparse training."""

    target: float = 0.4
    kp: float = 0.01
    ki: float = 0.001
    threshold: float = 0.5
    integral: float = 0.0

    def choose(self, scores: Tensor) -> Tensor:
        """Which sequences to train on; moves the threshold."""
        chosen = scores >= torch.quantile(scores, 1 - self.threshold)
        error = self.target - float(chosen.float().mean())
        self.integral += error
        moved = self.threshold + self.kp * error + self.ki * self.integral
        self.threshold = min(max(moved, 0.01), 0.99)
        return chosen


@dataclass
class PublishedTraining:
    """One training.

    Attributes
    ----------
    network : PublishedNetwork
    rows : RnaRows
    max_len : int
        What every sequence is padded to.
    total_steps, warmup_steps : int
    focal : bool
        False: binary cross-entropy.
    controller : Controller or None
        Of the sparse training.
    """

    network: PublishedNetwork
    rows: RnaRows
    max_len: int
    total_steps: int
    warmup_steps: int
    batch_size: int = 16
    learning_rate: float = 1e-3
    focal: bool = True
    controller: Controller | None = None
    seed: int = 1
    activations: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, weight_decay=0.01
        )
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: lr_factor(step, self.total_steps, self.warmup_steps)
        )

    def epoch(self) -> None:
        """One pass in random order."""
        order = self.rng.permutation(len(self.rows))
        for start in range(0, len(order), self.batch_size):
            self.step(order[start : start + self.batch_size].tolist())

    def step(self, indices: Sequence[int]) -> None:
        """One batch."""
        self.network.train()
        batch = batch_of(self.rows, indices, self.max_len, self.rng)
        answer = self.network(batch.masked)
        if self.controller is not None:
            chosen = self.controller.choose(nucleotide_scores(answer.nucleotides, batch.labels))
            self.activations.append(float(chosen.float().mean()))
            if not bool(chosen.any()):
                return
            batch, answer = batch.take(chosen), answer.take(chosen)
        loss, *_ = losses(answer, batch, self.focal)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.scheduler.step()


def nucleotide_scores(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each sequence's hidden bases: what the sparse training chooses by."""
    with torch.no_grad():
        each = F.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="none"
        )
        return each.sum(1) / (labels != IGNORED).sum(1).clamp(min=1)


def losses(answer: Answer, batch: Batch, focal: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Total, nucleotides, structure (padding counted), pairs."""
    nucleotides = F.cross_entropy(
        answer.nucleotides.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED
    )
    structure = F.cross_entropy(answer.loops.flatten(0, 1), batch.loops.flatten())
    pairs = (pair_focal if focal else pair_bce)(answer.pairs, batch.pairs, batch.present)
    total = sum(w * part for w, part in zip(WEIGHTS, (nucleotides, structure, pairs), strict=True))
    return total, nucleotides, structure, pairs


@torch.no_grad()
def validate(
    network: PublishedNetwork,
    rows: RnaRows,
    max_len: int,
    rng: np.random.Generator,
    *,
    size: int = 16,
    focal: bool = True,
) -> dict[str, float]:
    """Its own metrics, means over batches; and the share of bases whose loop type is right."""
    network.eval()
    lines, right, bases = [], 0.0, 0.0
    for start in range(0, len(rows), size):
        indices = range(start, min(start + size, len(rows)))
        batch = batch_of(rows, indices, max_len, rng)
        answer = network(batch.masked)
        total, *_ = losses(answer, batch, focal)
        asked = batch.labels != IGNORED
        told = answer.loops.argmax(-1) == batch.loops
        lines.append(
            {
                "val_loss": float(total),
                "mlm_accuracy": _share(
                    (answer.nucleotides.argmax(-1) == batch.labels)[asked], asked.sum()
                ),
                "structure_accuracy_padded": float(told.float().mean()),
                **pair_scores(answer.pairs, batch),
            }
        )
        is_base = batch.tokens >= 4
        right += float((told & is_base).sum())
        bases += float(is_base.sum())
    means = {name: float(np.mean([line[name] for line in lines])) for name in lines[0]}
    return {**means, "structure_accuracy": right / bases}


def pair_scores(logits: Tensor, batch: Batch) -> dict[str, float]:
    """Precision, recall, F1 of a batch over all L x L cells, nothing decoded."""
    valid = cell_mask(batch.present) > 0
    called = (torch.sigmoid(logits) > THRESHOLD) & valid
    true = (batch.pairs > 0) & valid
    common = (called & true).sum()
    precision, recall = _share(common, called.sum()), _share(common, true.sum())
    both = precision + recall
    return {
        "pair_precision": precision,
        "pair_recall": recall,
        "pair_f1": 2 * precision * recall / both if both else 0.0,
    }


def samples_per_second(training: PublishedTraining, batches: Sequence[Sequence[int]]) -> float:
    """Wall clock of some steps, their batches being assembled included."""
    began = time.perf_counter()
    for batch in batches:
        training.step(batch)
    return sum(map(len, batches)) / (time.perf_counter() - began)


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part.sum() / whole) if whole else 0.0
