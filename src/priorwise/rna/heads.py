"""Heads on the encoder: masked nucleotides, loop types, base pairs."""

import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.rna.alphabet import VOCABULARY
from priorwise.rna.encoder import LAYER_NORM_EPS
from priorwise.rna.structure import LOOP_NAMES

#: share of cells i < j that are pairs, about that of real RNAs of 80 bases; replaced by the
#: training table's own
USUAL_PAIR_SHARE = 0.007
#: scale of the bilinear logits at the start: they then spread by about one unit
FIRST_SCALE = 4.0


def symmetric(cells: torch.Tensor) -> torch.Tensor:
    """Mean of a map and its transpose, over the last two dimensions."""
    return (cells + cells.transpose(-1, -2)) / 2


class MaskedNucleotideHead(nn.Module):
    """Logits of the tokens that were masked (dense, GELU, norm, decoder; not tied)."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.dense = nn.Linear(d_model, d_model)
        self.norm = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.decoder = nn.Linear(d_model, len(VOCABULARY))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(..., d_model) -> (..., 9)."""
        logits: torch.Tensor = self.decoder(self.norm(F.gelu(self.dense(hidden))))
        return logits


class StructureHead(nn.Module):
    """Logits of the loop type of each base from its vector alone, as published."""

    def __init__(self, d_model: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(d_model, len(LOOP_NAMES))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, bases, d_model) -> (batch, bases, 5)."""
        logits: torch.Tensor = self.linear(self.dropout(hidden))
        return logits


class BilinearPairHead(nn.Module):
    """Pair logits from scalar products of two projections, made symmetric.

    `scale * (l_i . r_j + l_j . r_i) / (2 sqrt(d)) + logit(share of pairs)`: the published head has
    neither the symmetry nor the root nor the prior, so that it starts at p = .5 for every cell.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.left = nn.Linear(d_model, d_model, bias=False)
        self.right = nn.Linear(d_model, d_model, bias=False)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
        self.register_buffer("prior", torch.tensor(logit(USUAL_PAIR_SHARE)))
        self.prior: torch.Tensor

    def start_from(self, share: float) -> None:
        """Let the first logits be those of the training table's share of pairs."""
        self.prior.fill_(logit(share))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(batch, bases, d_model) -> (batch, bases, bases)."""
        products = self.left(hidden) @ self.right(hidden).transpose(1, 2)
        return self.scale * symmetric(products.float()) / math.sqrt(hidden.shape[-1]) + self.prior


def logit(share: float) -> float:
    """Log-odds of a share in (0, 1), which is kept away from both ends."""
    share = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share))
