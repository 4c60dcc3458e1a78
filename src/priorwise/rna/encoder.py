"""The sequence encoder: learned or rotary positions, post-norm layers, as published."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.rna.alphabet import PAD, VOCABULARY

Positions = Literal["learned", "rotary"]
#: of the published model
LAYER_NORM_EPS = 1e-12
#: wavelengths of rotary positions grow from 2 pi to this many bases (Su et al. 2021, section 3.2)
ROTARY_BASE = 10_000.0


def rotate(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Turn each pair of channels by an angle that grows with the position.

    Scalar products of turned queries and keys depend on the distance of their positions only
    (Su et al. 2021, RoFormer, eq. 14 and 34).

    Parameters
    ----------
    x : torch.Tensor of shape (..., length, channels)
        An even number of channels.
    positions : torch.Tensor of shape (length,)

    Returns
    -------
    torch.Tensor of the shape of x
    """
    half = x.shape[-1] // 2
    rates = ROTARY_BASE ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions.to(torch.float32)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention over the bases of one sequence."""

    def __init__(self, d_model: int, n_heads: int, dropout: float, positions: Positions) -> None:
        super().__init__()
        self.n_heads, self.dropout, self.positions = n_heads, dropout, positions
        self.joint = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Attend from every token to those present.

        Parameters
        ----------
        x : torch.Tensor of shape (batch, tokens, d_model)
        present : torch.Tensor of shape (batch, tokens), bool
        """
        batch, tokens, width = x.shape
        parts = self.joint(x).view(batch, tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        if self.positions == "rotary":
            places = torch.arange(tokens, device=x.device)
            query, key = rotate(query, places), rotate(key, places)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=present[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        joined: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return joined


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each added to its input and then normalised (post-norm)."""

    def __init__(
        self, d_model: int, n_heads: int, d_ff: int, dropout: float, positions: Positions
    ) -> None:
        super().__init__()
        self.attention = Attention(d_model, n_heads, dropout, positions)
        self.after_attention = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.widen, self.narrow = nn.Linear(d_model, d_ff), nn.Linear(d_ff, d_model)
        self.after_feed_forward = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Same shapes as `Attention`."""
        x = self.after_attention(x + self.dropout(self.attention(x, present)))
        wide = self.dropout(F.gelu(self.widen(x)))
        out: torch.Tensor = self.after_feed_forward(x + self.dropout(self.narrow(wide)))
        return out


class RnaEncoder(nn.Module):
    """Contextual vectors of the tokens of a sequence.

    Parameters
    ----------
    d_model, n_heads, n_layers, d_ff : int
    dropout : float
    positions : {"learned", "rotary"}
        `learned` knows `max_len` positions and no more; `rotary` has no such limit.
    max_len : int
        Tokens of the longest sequence, CLS and SEP included.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int,
        dropout: float,
        positions: Positions,
        max_len: int,
    ) -> None:
        super().__init__()
        self.max_len = max_len
        self.tokens = nn.Embedding(len(VOCABULARY), d_model, padding_idx=PAD)
        self.places = nn.Embedding(max_len, d_model) if positions == "learned" else None
        self.after_embedding = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, n_heads, d_ff, dropout, positions) for _ in range(n_layers)
        )
        self.last_norm = nn.LayerNorm(d_model, eps=LAYER_NORM_EPS)
        for table in filter(None, (self.tokens, self.places)):
            nn.init.normal_(table.weight, std=0.02)
        with torch.no_grad():
            self.tokens.weight[PAD].zero_()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode padded token ids.

        Parameters
        ----------
        tokens : torch.Tensor of shape (batch, tokens), int64

        Returns
        -------
        torch.Tensor of shape (batch, tokens, d_model)

        Raises
        ------
        ValueError
            If a sequence is longer than the learned positions.
        """
        present = tokens != PAD
        x = self.tokens(tokens)
        if self.places is not None:
            places, known = torch.arange(tokens.shape[1], device=x.device), self.max_len
            # padding may reach beyond the last position, a sequence may not
            if len(places) > known and bool(present[:, known:].any()):
                raise ValueError(f"{int(present.sum(1).max())} tokens (expected at most {known})")
            x = x + self.places(places.clamp(max=known - 1))
        x = self.dropout(self.after_embedding(x))
        for layer in self.layers:
            x = layer(x, present)
        out: torch.Tensor = self.last_norm(x)
        return out
