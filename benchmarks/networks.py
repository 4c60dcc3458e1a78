"""Small networks on plain tensors: a multi-layer perceptron, and the one loop that trains it.

No Lightning and no data loader here: thousands of short trainings on one core each.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tasks import Table

Array = NDArray[np.float64]
# From logits and s of a batch to what is differentiated.
Objective = Callable[[Tensor, Tensor], Tensor]


def mlp(n_features: int, hidden: Sequence[int], seed: int) -> nn.Sequential:
    """Linear layers with ReLU between them; one output, the logit."""
    torch.manual_seed(seed)
    sizes = [n_features, *hidden]
    layers: list[nn.Module] = []
    for i, o in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))


@torch.no_grad()
def logits_of(network: nn.Module, x: NDArray[np.float32]) -> Tensor:
    """Logits of all rows, shape (n_rows,)."""
    return network(torch.from_numpy(x)).squeeze(1)


def scores_of(network: nn.Module, x: NDArray[np.float32]) -> Array:
    """Probabilities of all rows, float64."""
    return torch.sigmoid(logits_of(network, x).double()).numpy()


def bce(logits: Tensor, s: Tensor) -> Tensor:
    """Mean binary cross-entropy."""
    return functional.binary_cross_entropy_with_logits(logits, s)


def fit(
    network: nn.Module,
    train: Table,
    objective: Objective,
    *,
    epochs: int,
    batch: int,
    rate: float,
    seed: int,
    final_rate: float | None = None,
    weight_decay: float = 0.0,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train in place with Adam; rows are shuffled anew each epoch.

    With `final_rate` the learning rate falls from `rate` to it, geometrically over the epochs.
    """
    x, s = torch.from_numpy(train.x), torch.from_numpy(train.s).float()
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=weight_decay)
    shuffle = torch.Generator().manual_seed(seed)
    for epoch in range(epochs):
        if final_rate is not None:
            done = epoch / max(epochs - 1, 1)
            optimiser.param_groups[0]["lr"] = rate * (final_rate / rate) ** done
        network.train()
        for rows in torch.randperm(len(s), generator=shuffle).split(batch):
            optimiser.zero_grad(set_to_none=True)
            objective(network(x[rows]).squeeze(1), s[rows]).backward()
            optimiser.step()
        network.eval()
        after_epoch(epoch)


@dataclass(frozen=True)
class Pretrained:
    """The two checkpoints of one BCE training on s."""

    by_bce: nn.Sequential
    by_recall: nn.Sequential
    recall_epoch: int


def pretrain(
    train: Table,
    validation: Table,
    *,
    hidden: Sequence[int],
    epochs: int,
    seed: int,
    batch: int = 256,
    rate: float = 1e-3,
    weight_decay: float = 0.0,
) -> Pretrained:
    """Phase 1: BCE with s as target.

    Two checkpoints are kept: the epoch of the lowest validation BCE, and the epoch of the highest
    recall on labelled validation rows at threshold .5 (the published monitor; first one of a tie).
    """
    network = mlp(train.x.shape[1], hidden, seed)
    s = torch.from_numpy(validation.s).float()
    best: dict[str, tuple[float, int, nn.Sequential]] = {}

    def keep(epoch: int) -> None:
        logits = logits_of(network, validation.x)
        recall = float((logits[s > 0] > 0).float().mean())
        for name, value in (("bce", -float(bce(logits, s))), ("recall", recall)):
            if name not in best or value > best[name][0]:
                best[name] = value, epoch, copy.deepcopy(network)

    fit(
        network,
        train,
        bce,
        epochs=epochs,
        batch=batch,
        rate=rate,
        seed=seed,
        weight_decay=weight_decay,
        after_epoch=keep,
    )
    return Pretrained(best["bce"][2], best["recall"][2], best["recall"][1])
