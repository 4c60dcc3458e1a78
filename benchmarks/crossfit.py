"""Out-of-fold scores of a small table: many small networks, trained side by side.

A few thousand rows are too few to hold some out. As DEDPUL does, every row is scored by networks
that did not see it: stratified folds, over several splits, averaged. All networks of all folds and
splits are one batched matrix product per layer, which one core does in seconds.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.tasks import Table


class SideBySide(nn.Module):
    """`n` perceptrons with two hidden layers and dropout; each has its own weights and rows."""

    def __init__(self, n: int, n_features: int, width: int, dropout: float) -> None:
        super().__init__()
        sizes = [n_features, width, width, 1]
        pairs = list(zip(sizes, sizes[1:], strict=False))
        # He et al. 2015: variance 2 / n_in keeps the scale through ReLU layers.
        self.weights = nn.ParameterList(torch.randn(n, i, o) * (2 / i) ** 0.5 for i, o in pairs)
        self.biases = nn.ParameterList(torch.zeros(n, 1, o) for _, o in pairs)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, rows) for x of shape (n, rows, n_features)."""
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = functional.dropout(x.relu(), self.dropout, self.training)
        return x.squeeze(2)


def out_of_fold_scores(
    table: Table,
    seed: int,
    *,
    folds: int = 5,
    splits: int = 3,
    width: int = 64,
    dropout: float = 0.3,
    epochs: int = 30,
    batch: int = 128,
    rate: float = 2e-3,
    weight_decay: float = 0.1,
) -> NDArray[np.float64]:
    """P(s=1 | x) of every row, each the mean of `splits` networks that were not trained on it."""
    torch.manual_seed(seed)
    pairs = [
        pair
        for split in range(splits)
        for pair in StratifiedKFold(
            folds, shuffle=True, random_state=np.random.RandomState([seed, split])
        ).split(table.x, table.s)
    ]
    n_rows = min(len(train) for train, _ in pairs)  # folds differ by a row
    rng = np.random.default_rng(seed)
    trained_on = torch.from_numpy(np.stack([rng.permutation(t)[:n_rows] for t, _ in pairs]))
    x, s = torch.from_numpy(table.x), torch.from_numpy(table.s).float()
    networks = SideBySide(len(pairs), x.shape[1], width, dropout)
    optimiser = torch.optim.AdamW(networks.parameters(), lr=rate, weight_decay=weight_decay)
    steps = epochs * (n_rows // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rate, total_steps=steps)
    for _ in range(epochs):
        order = trained_on.gather(1, torch.rand(trained_on.shape).argsort(1))
        for start in range(0, n_rows - batch + 1, batch):
            rows = order[:, start : start + batch]
            loss = functional.binary_cross_entropy_with_logits(networks(x[rows]), s[rows])
            optimiser.zero_grad(set_to_none=True)
            (loss * len(pairs)).backward()  # the mean over networks divides by their number
            optimiser.step()
            schedule.step()
    networks.eval()
    scores = np.zeros(len(table))
    with torch.no_grad():
        each = torch.sigmoid(networks(x.expand(len(pairs), -1, -1)).double()).numpy()
    for network, (_, held_out) in enumerate(pairs):
        scores[held_out] += each[network, held_out] / splits
    return scores
