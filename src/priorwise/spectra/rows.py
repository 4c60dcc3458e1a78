"""Rows in memory, and as padded batches for the network: NumPy and torch only."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class SpectraBatch:
    """Rows padded with zeros to the longest spectrum.

    Attributes
    ----------
    mz, intensity : torch.Tensor of shape (batch, peaks)
    settings : torch.Tensor of shape (batch, 22)
    precursor_mz, s : torch.Tensor of shape (batch,)
    positive : torch.Tensor of shape (batch,), bool
        True for positive ionisation mode.
    """

    mz: torch.Tensor
    intensity: torch.Tensor
    settings: torch.Tensor
    precursor_mz: torch.Tensor
    s: torch.Tensor
    positive: torch.Tensor

    def to(self, device: torch.device) -> "SpectraBatch":
        """The same rows on another device."""
        return SpectraBatch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


class SpectraRows:
    """Rows of a table in memory, peaks stored ragged.

    Attributes
    ----------
    row : torch.Tensor of shape (n,), int64
        Position of each row in the table it was read from.
    """

    def __init__(self, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        # torch tensors travel to spawned loader workers through shared memory, arrays by copy
        def own(name: str) -> torch.Tensor:
            return torch.from_numpy(np.array(columns[name]))

        self.mz, self.intensity, self.offsets = own("mz"), own("intensity"), own("offsets")
        self.settings, self.precursor_mz, self.s = own("settings"), own("precursor_mz"), own("s")
        self.row = own("row")
        self.positive = self.settings[:, 15] > 0.5

    def __len__(self) -> int:
        return len(self.s)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Peaks per row."""
        return np.diff(self.offsets.numpy())

    def assemble(
        self, indices: Sequence[int] | npt.NDArray[np.int64], epoch: int = 0
    ) -> SpectraBatch:
        """The rows `indices` as one batch, padded to the longest of them; the same every epoch."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        sizes = self.offsets[index + 1] - self.offsets[index]
        return self.padded(indices, int(sizes.max()) if len(index) else 0)

    def padded(self, indices: Sequence[int] | npt.NDArray[np.int64], width: int) -> SpectraBatch:
        """Assemble the rows `indices` as one batch, each padded to `width` peaks."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        starts, ends = self.offsets[index], self.offsets[index + 1]
        sizes = ends - starts
        present = torch.arange(width)[None, :] < sizes[:, None]
        source = (starts[:, None] + torch.arange(width)[None, :])[present]
        mz = torch.zeros(len(index), width)
        intensity = torch.zeros(len(index), width)
        mz[present] = self.mz[source]
        intensity[present] = self.intensity[source]
        return SpectraBatch(
            mz,
            intensity,
            self.settings[index],
            self.precursor_mz[index],
            self.s[index],
            self.positive[index],
        )
