"""A two-dimensional convolutional head: pair logits from the map of all pairs of bases."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.rna.alphabet import VOCABULARY
from priorwise.rna.heads import USUAL_PAIR_SHARE, logit, symmetric

#: distances beyond this look alike
FARTHEST = 127
#: a residual branch starts at this weight: no normalisation is needed then (De and Smith 2020)
FIRST_WEIGHT = 0.5
#: ways in which a base looks at its row
CONTEXT_HEADS = 4
#: a score whose softmax is 0, also in bfloat16
NEVER = -1e4


class RowContext(nn.Module):
    """Tells every cell what its rivals are: the strongest cells of its row and of its column.

    A base pairs with one other base at most, and convolutions see too little of its row to know.
    Each base i looks at its row (i, .) by attention with a few heads; what it finds is added to
    row i, and to column i.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Linear(channels, CONTEXT_HEADS)
        self.mix = nn.Linear(CONTEXT_HEADS * channels, 2 * channels)
        # nothing is added at the start
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, cells: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Add the context.

        Parameters
        ----------
        cells : torch.Tensor of shape (batch, bases, bases, channels)
        valid : torch.Tensor of shape (batch, bases, bases, 1), 0 or 1
        """
        found = attended(cells, self.score(cells).transpose(2, 3), valid)
        row, column = self.mix(found.flatten(2)).chunk(2, dim=-1)
        return (cells + row[:, :, None] + column[:, None]) * valid


def attended(cells: torch.Tensor, scores: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Means over each row, weighted by the softmax of scores.

    Parameters
    ----------
    cells : torch.Tensor of shape (batch, bases, bases, channels)
    scores : torch.Tensor of shape (batch, bases, heads, bases)
    valid : torch.Tensor of shape (batch, bases, bases, 1), bool, or 0 and 1

    Returns
    -------
    torch.Tensor of shape (batch, bases, heads, channels)
    """
    left_out = ~valid.squeeze(-1).bool()[:, :, None]
    weights = scores.float().masked_fill(left_out, NEVER).softmax(dim=-1)
    return weights.to(cells.dtype) @ cells


class PairBlock(nn.Module):
    """Residual block: a dilated 3 x 3 convolution, after the context of the rows if wanted."""

    def __init__(self, channels: int, dilation: int, context: bool) -> None:
        super().__init__()
        self.context = RowContext(channels) if context else None
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.weight = nn.Parameter(torch.full((channels,), FIRST_WEIGHT))

    def forward(self, cells: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
        """Same shapes as `RowContext`; cells that are not valid stay zero."""
        active = F.relu(cells)
        if self.context is not None:
            active = self.context(active, valid)
        # channels lie last in memory either way: these are views
        new = self.conv(active.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return cells + new * (self.weight.to(new.dtype) * valid)


class ConvPairHead(nn.Module):
    """Pair logits, and the map that they come from.

    Every cell (i, j) begins as the sum of what base i is as the 5' partner, what base j is as the
    3' partner, the two letters together and their distance; residual convolutions, dilated so that
    they follow helices, do the rest. The logits are made symmetric at the end.

    Parameters
    ----------
    d_model : int
    channels : int
        Width of the map.
    dilations : sequence of int
        One residual block each; every third one also sees the context of its rows.
    n_features : int
        Maps given with the sequence, such as pair probabilities of a thermodynamic model.
    folds : bool
        Whether there is a second output: how a thermodynamic model would pair the bases.
    low_precision : bool
        Compute the blocks in bfloat16 (fast where the processor has it); weights stay float32.
    """

    def __init__(
        self,
        d_model: int,
        channels: int,
        dilations: Sequence[int],
        n_features: int = 0,
        folds: bool = False,
        low_precision: bool = False,
    ) -> None:
        super().__init__()
        self.channels, self.low_precision = channels, low_precision
        self.five, self.three = nn.Linear(d_model, channels), nn.Linear(d_model, channels)
        self.letters = nn.Embedding(len(VOCABULARY) ** 2, channels)
        self.distance = nn.Embedding(2 * FARTHEST + 1, channels)
        self.given = nn.Linear(n_features, channels, bias=False) if n_features else None
        self.blocks = nn.ModuleList(
            PairBlock(channels, dilation, context=place % 3 == 2)
            for place, dilation in enumerate(dilations)
        )
        self.out = nn.Linear(channels, 1)
        self.folding = nn.Linear(channels, 1) if folds else None
        self.start_from(USUAL_PAIR_SHARE)
        # in this layout convolutions on a CPU run without copies
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def start_from(self, share: float) -> None:
        """Let the first logits be those of the training table's share of pairs."""
        for output in filter(None, (self.out, self.folding)):
            nn.init.constant_(output.bias, logit(share))

    def forward(
        self,
        hidden: torch.Tensor,
        tokens: torch.Tensor,
        present: torch.Tensor,
        features: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Logits of all cells.

        Parameters
        ----------
        hidden : torch.Tensor of shape (batch, bases, d_model)
        tokens : torch.Tensor of shape (batch, bases), int64
        present : torch.Tensor of shape (batch, bases), bool
        features : torch.Tensor of shape (batch, bases, bases, n_features), optional

        Returns
        -------
        torch.Tensor of shape (batch, bases, bases), float32
            Symmetric.
        torch.Tensor of shape (batch, bases, bases, channels)
            The last map: not negative, zero where a base is not present.
        torch.Tensor of shape (batch, bases, bases), float32, or None
            Logits of the second output, symmetric.
        """
        valid = (present[:, :, None] & present[:, None, :])[..., None].float()
        cells = self._first(hidden, tokens, features) * valid
        with torch.autocast(cells.device.type, torch.bfloat16, enabled=self.low_precision):
            if self.low_precision:
                cells, valid = cells.bfloat16(), valid.bfloat16()
            for block in self.blocks:
                cells = block(cells, valid)
            active = F.relu(cells)
            logits = symmetric(self.out(active).float().squeeze(-1))
            folding = None
            if self.folding is not None:
                folding = symmetric(self.folding(active).float().squeeze(-1))
        return logits, active, folding

    def _first(
        self, hidden: torch.Tensor, tokens: torch.Tensor, features: torch.Tensor | None
    ) -> torch.Tensor:
        """The map before the first block, shape (batch, bases, bases, channels)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        apart = (places[None, :] - places[:, None]).clamp(-FARTHEST, FARTHEST) + FARTHEST
        cells: torch.Tensor = (
            self.five(hidden)[:, :, None]
            + self.three(hidden)[:, None]
            + self.letters(tokens[:, :, None] * len(VOCABULARY) + tokens[:, None])
            + self.distance(apart)
        )
        if self.given is not None:
            if features is None:
                raise ValueError("features: this network was built for feature maps")
            cells = cells + self.given(features)
        return cells
