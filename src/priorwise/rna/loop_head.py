"""Loop types from the map of pairs: what lies between two partners is known from their pair."""

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.rna.pair_map import attended
from priorwise.rna.structure import LOOP_NAMES, MIN_LOOP

#: kinds of pair that are added up over all pairs round a base
KINDS = 8
#: width of the one-dimensional part, and bases that each of its convolutions sees
WIDTH, BASES = 64, 5
#: how sharply the map is read along each row
SHARPNESS = 3.0


class PairLoopHead(nn.Module):
    """Logits of the loop type of each base, from its vector and from the pairs round it.

    A base without partner is in a hairpin, a bulge or outside by the pairs (i, j) that enclose it,
    however far away they are. So the probabilities of all enclosing pairs are added up, by kind of
    pair (two running sums over the map), beside what the base's own row says.

    Parameters
    ----------
    d_model, channels : int
        Widths of the vectors and of the map.
    """

    def __init__(self, d_model: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.kinds = nn.Linear(channels, KINDS)
        self.join = nn.Linear(d_model + 2 * channels + KINDS + 2, WIDTH)
        self.near = nn.ModuleList(
            nn.Conv1d(WIDTH, WIDTH, BASES, padding=BASES // 2) for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(WIDTH, len(LOOP_NAMES))

    def forward(
        self,
        hidden: torch.Tensor,
        cells: torch.Tensor,
        logits: torch.Tensor,
        present: torch.Tensor,
    ) -> torch.Tensor:
        """Logits of the loop types, shape (batch, bases, 5).

        Parameters
        ----------
        hidden : torch.Tensor of shape (batch, bases, d_model)
        cells : torch.Tensor of shape (batch, bases, bases, channels)
            Not negative; zero where a base is not present.
        logits : torch.Tensor of shape (batch, bases, bases)
            Of the pairs.
        present : torch.Tensor of shape (batch, bases), bool
        """
        valid = (present[:, :, None] & present[:, None, :])[..., None]
        width = present.shape[1]
        room = torch.ones(width, width, device=logits.device).triu(MIN_LOOP + 1)
        paired = torch.sigmoid(logits.float()) * valid.squeeze(-1) * room
        kinds = torch.sigmoid(self.kinds(cells.float()))
        row = attended(cells, SHARPNESS * logits[:, :, None], valid).squeeze(2).float()
        mean = cells.float().sum(2) / present.sum(1).clamp(min=1)[:, None, None]
        known = torch.cat(
            [
                hidden.float(),
                row,
                mean,
                enclosing(paired[..., None] * kinds),
                paired.sum(2)[..., None],
                paired.sum(1)[..., None],
            ],
            dim=-1,
        )
        there = present[:, None, :].float()
        vectors = F.gelu(self.join(known)).transpose(1, 2) * there
        for convolution in self.near:
            vectors = vectors + F.gelu(convolution(vectors)) * there
        out: torch.Tensor = self.out(self.dropout(vectors.transpose(1, 2)))
        return out


def enclosing(cells: torch.Tensor) -> torch.Tensor:
    """Sum over all cells (i, j) with i < k < j, for each base k.

    Parameters
    ----------
    cells : torch.Tensor of shape (batch, bases, bases, kinds)

    Returns
    -------
    torch.Tensor of shape (batch, bases, kinds)
    """
    sums = cells.cumsum(1).flip(2).cumsum(2).flip(2)  # over i' <= i and j' >= j
    width = cells.shape[1]
    inner = torch.arange(1, max(width - 1, 1), device=cells.device)
    return F.pad(sums[:, inner - 1, (inner + 1) % width], (0, 0, 1, width - 1 - len(inner)))
