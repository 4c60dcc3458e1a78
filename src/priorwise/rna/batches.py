"""Padded batches of sequences for the network: NumPy and torch only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from priorwise.rna.alphabet import CLS, PAD, SEP
from priorwise.rna.masking import IGNORED, VALIDATION, mask
from priorwise.rna.rows import RnaRows

#: widths are multiples of this, so that few shapes occur and convolutions are cut evenly
WIDTH_STEP = 8
#: cells of feature maps below this are 0
LEAST = 1e-3
Indices = Sequence[int] | npt.NDArray[np.int64]


@dataclass(frozen=True)
class RnaBatch:
    """Sequences padded to one width.

    Attributes
    ----------
    row : torch.Tensor of shape (batch,), int64
        Which rows these are.
    tokens, masked : torch.Tensor of shape (batch, bases + 2), int64
        CLS, bases, SEP, padding: as they are, and with hidden bases.
    labels : torch.Tensor of shape (batch, bases), int64
        Tokens of the bases that are asked for, else -100.
    present : torch.Tensor of shape (batch, bases), bool
    loops : torch.Tensor of shape (batch, bases), int64
        Loop types; -100 where unknown and in padding.
    labelled : torch.Tensor of shape (batch,), bool
        Which rows have a known structure.
    pairs : torch.Tensor of shape (pairs, 3), int64
        (sequence in the batch, i, j) with i < j; dense maps are made where they are used.
    features : torch.Tensor of shape (batch, bases, bases, maps) or None
    teacher : torch.Tensor of shape (batch, bases, bases) or None
        Pair probabilities of thermodynamic models to learn, in [0, 1], symmetric.
    """

    row: torch.Tensor
    tokens: torch.Tensor
    masked: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor
    loops: torch.Tensor
    labelled: torch.Tensor
    pairs: torch.Tensor
    features: torch.Tensor | None = None
    teacher: torch.Tensor | None = None

    def to(self, device: torch.device) -> "RnaBatch":
        """The same batch on another device."""
        moved: dict[str, Any] = {
            name: value if value is None else value.to(device, non_blocking=True)
            for name, value in vars(self).items()
        }
        return RnaBatch(**moved)

    @property
    def lengths(self) -> torch.Tensor:
        """Bases of each sequence, shape (batch,)."""
        return self.present.sum(1)

    def without_targets(self, rows: torch.Tensor) -> "RnaBatch":
        """The same sequences, of which nothing is known in `rows`, shape (batch,), bool."""
        unknown = rows[:, None]
        return replace(
            self,
            labels=self.labels.masked_fill(unknown, IGNORED),
            loops=self.loops.masked_fill(unknown, IGNORED),
            labelled=self.labelled & ~rows,
        )

    def pair_map(self) -> torch.Tensor:
        """1 where i and j pair, symmetric; shape (batch, bases, bases), float32."""
        size, width = self.present.shape
        cells = torch.zeros(size, width, width, device=self.pairs.device)
        k, i, j = self.pairs.unbind(1)
        cells[k, i, j] = 1.0
        cells[k, j, i] = 1.0
        return cells


class FeatureMaps:
    """Maps that belong to each row, kept sparse: cells of at least 1/1000.

    Parameters
    ----------
    n_rows, n_features : int
        Rows, and maps of each.
    """

    def __init__(self, n_rows: int, n_features: int) -> None:
        self.n_features = n_features
        empty = (np.zeros((0, 2), np.int16), np.zeros(0, np.float16))
        self._cells = [[empty] * n_features for _ in range(n_rows)]

    def put(self, row: int, feature: int, cells: npt.NDArray[np.float32]) -> None:
        """Set one map of a row, shape (bases, bases), symmetric."""
        places = np.argwhere(cells >= LEAST).astype(np.int16)
        self._cells[row][feature] = (places, cells[places[:, 0], places[:, 1]].astype(np.float16))

    def padded(self, indices: Indices, width: int) -> torch.Tensor:
        """The maps of some rows, shape (batch, width, width, n_features), float32."""
        out = np.zeros((len(indices), width, width, self.n_features), np.float32)
        for k, index in enumerate(indices):
            for feature, (places, values) in enumerate(self._cells[index]):
                out[k, places[:, 0], places[:, 1], feature] = values
        return torch.from_numpy(out)


def assemble(
    rows: RnaRows,
    indices: Indices,
    *,
    seed: int = 0,
    epoch: int = VALIDATION,
    keys: npt.NDArray[np.int64] | None = None,
    features: FeatureMaps | None = None,
) -> RnaBatch:
    """Pad some rows to the longest of them.

    Parameters
    ----------
    rows : RnaRows
    indices : sequence of int
    seed, epoch : int
        Key of the hidden bases, together with each row's number.
    keys : numpy.ndarray of shape (len(rows),), int64, optional
        Numbers to use for the rows instead of their positions in `rows`.
    features : FeatureMaps, optional
    """
    lengths = rows.lengths[np.asarray(indices)]
    width = int(-(-int(lengths.max()) // WIDTH_STEP) * WIDTH_STEP) if len(lengths) else 0
    size = len(lengths)
    tokens = np.full((size, width + 2), PAD, np.int64)
    tokens[:, 0] = CLS
    masked = tokens.copy()
    labels = np.full((size, width), IGNORED, np.int64)
    loops = np.full((size, width), IGNORED, np.int64)
    pairs = []
    for k, index in enumerate(indices):
        n = int(lengths[k])
        part = slice(int(rows.offsets[index]), int(rows.offsets[index + 1]))
        bases = rows.tokens[part]
        hidden = mask(bases, seed, epoch, int(keys[index]) if keys is not None else int(index))
        tokens[k, 1 : n + 1], masked[k, 1 : n + 1] = bases, hidden.tokens
        tokens[k, n + 1] = masked[k, n + 1] = SEP
        labels[k, :n], loops[k, :n] = hidden.labels, rows.loops[part]
        own = rows.pairs_of_row(index)
        pairs.append(np.column_stack([np.full(len(own), k), own]))
    return RnaBatch(
        row=torch.as_tensor(np.asarray(indices, dtype=np.int64)),
        tokens=torch.from_numpy(tokens),
        masked=torch.from_numpy(masked),
        labels=torch.from_numpy(labels),
        present=torch.from_numpy(np.arange(width)[None, :] < lengths[:, None]),
        loops=torch.from_numpy(loops),
        labelled=torch.from_numpy(rows.labelled[np.asarray(indices)]),
        pairs=torch.from_numpy(np.concatenate([np.zeros((0, 3), np.int64), *pairs]).astype(int)),
        features=features.padded(indices, width) if features else None,
    )
