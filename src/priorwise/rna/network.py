"""The multi-task network: one encoder, heads for masked nucleotides, loop types and pairs."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from priorwise.rna.encoder import Positions, RnaEncoder
from priorwise.rna.heads import BilinearPairHead, MaskedNucleotideHead, StructureHead
from priorwise.rna.loop_head import PairLoopHead
from priorwise.rna.pair_map import ConvPairHead

ModelSize = Literal["tiny", "small", "base", "large"]
PairHead = Literal["bilinear", "conv"]
#: d_model, n_heads, n_layers, d_ff; small, base and large are the published sizes
SIZES: Mapping[str, tuple[int, int, int, int]] = {
    "tiny": (64, 4, 2, 128),
    "small": (256, 4, 4, 1024),
    "base": (512, 8, 8, 2048),
    "large": (768, 12, 12, 3072),
}


class RnaAnswer(NamedTuple):
    """What the network says of a batch.

    Attributes
    ----------
    nucleotides : torch.Tensor of shape (batch, bases, 9)
        Logits of the token at each base.
    loops : torch.Tensor of shape (batch, bases, 5)
        Logits of its loop type.
    pairs : torch.Tensor of shape (batch, bases, bases)
        Logits, symmetric.
    folding : torch.Tensor of shape (batch, bases, bases) or None
        Logits of the pairs that a thermodynamic model would say, symmetric.
    """

    nucleotides: torch.Tensor
    loops: torch.Tensor
    pairs: torch.Tensor
    folding: torch.Tensor | None = None


class RnaNetwork(nn.Module):
    """Sequence in, logits of all three tasks out.

    Parameters
    ----------
    model_size : {"tiny", "small", "base", "large"}
        With `pair_head="bilinear"` and `positions="learned"` the last three have the published
        3,494,415, 26,283,023 and 87,240,207 parameters.
    pair_head : {"bilinear", "conv"}
    positions : {"learned", "rotary"}
    max_len : int
        Tokens of the longest sequence, CLS and SEP included.
    dropout : float
    pair_channels : int
        Width of the convolutional pair head.
    pair_dilations : sequence of int
        Its residual blocks.
    n_features : int
        Feature maps given with each sequence; conv head only.
    folds : bool
        Whether it also says how a thermodynamic model would pair the bases; conv head only.
    """

    def __init__(
        self,
        model_size: ModelSize = "small",
        pair_head: PairHead = "bilinear",
        positions: Positions = "learned",
        max_len: int = 512,
        dropout: float = 0.1,
        pair_channels: int = 32,
        pair_dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8),
        n_features: int = 0,
        folds: bool = False,
    ) -> None:
        super().__init__()
        d_model, n_heads, n_layers, d_ff = SIZES[model_size]
        if (n_features or folds) and pair_head != "conv":
            raise ValueError("n_features, folds: only pair_head=conv has maps")
        self.encoder = RnaEncoder(d_model, n_heads, n_layers, d_ff, dropout, positions, max_len)
        self.nucleotides = MaskedNucleotideHead(d_model)
        self.pairs = (
            ConvPairHead(d_model, pair_channels, pair_dilations, n_features, folds)
            if pair_head == "conv"
            else BilinearPairHead(d_model)
        )
        self.loops = (
            PairLoopHead(d_model, pair_channels, dropout)
            if pair_head == "conv"
            else StructureHead(d_model, dropout)
        )

    def forward(
        self,
        tokens: torch.Tensor,
        present: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> RnaAnswer:
        """Logits of a padded batch.

        Parameters
        ----------
        tokens : torch.Tensor of shape (batch, bases + 2), int64
            CLS, the bases, SEP, padding.
        present : torch.Tensor of shape (batch, bases), bool
            Which columns are bases of the sequence.
        features : torch.Tensor of shape (batch, bases, bases, n_features), optional
        """
        hidden = self.hidden(tokens)
        nucleotides = self.nucleotides(hidden)
        if isinstance(self.pairs, BilinearPairHead):
            return RnaAnswer(nucleotides, self.loops(hidden), self.pairs(hidden))
        logits, cells, folding = self.pairs(hidden, tokens[:, 1:-1], present, features)
        loops = self.loops(hidden, cells, logits, present)
        return RnaAnswer(nucleotides, loops, logits, folding)

    def nucleotide_logits(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits of the token at each base, of sequences with hidden bases, without pair map."""
        logits: torch.Tensor = self.nucleotides(self.hidden(tokens))
        return logits

    @property
    def longest(self) -> int | None:
        """Bases of the longest sequence; None for no limit."""
        # two positions are for CLS and SEP
        return None if self.encoder.places is None else self.encoder.max_len - 2

    def hidden(self, tokens: torch.Tensor) -> torch.Tensor:
        """Vectors of the bases alone, shape (batch, bases, d_model)."""
        vectors: torch.Tensor = self.encoder(tokens)[:, 1:-1]
        return vectors


def n_parameters(network: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def architecture(**values: Any) -> dict[str, Any]:
    """Arguments of `RnaNetwork` as plain JSON values."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
