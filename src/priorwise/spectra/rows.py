"""Rows in memory, and as padded batches for the network."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from priorwise.spectra.ragged import gather


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
    """Rows of a table, peaks stored ragged: in memory, or mapped from files.

    Parameters
    ----------
    columns : dict of arrays
        mz and intensity, the peaks of all rows one after the other; sizes, the number of peaks of
        each row; settings, precursor_mz and s; row, the position of each row in its table; and,
        where rows share peaks or leave some out, starts, the place of each row's first peak.

    Attributes
    ----------
    row : torch.Tensor of shape (n,), int64
    """

    def __init__(self, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        # torch tensors travel to spawned loader workers through shared memory, arrays by copy
        def own(name: str) -> torch.Tensor:
            column = columns[name]
            if not isinstance(column, np.memmap):  # of Arrow's memory, say, which is read-only
                column = np.require(column, requirements=("C", "W", "O"))
            return torch.from_numpy(column)

        self.mz, self.intensity, self.sizes = own("mz"), own("intensity"), own("sizes").long()
        self.starts = own("starts") if "starts" in columns else self.sizes.cumsum(0) - self.sizes
        self.settings, self.precursor_mz, self.s = own("settings"), own("precursor_mz"), own("s")
        self.row = own("row")
        self.positive = self.settings[:, 15] > 0.5

    def __len__(self) -> int:
        return len(self.s)

    def take(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> "SpectraRows":
        """These rows, in this order; peaks are shared, not copied."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        part = SpectraRows.__new__(SpectraRows)
        vars(part).update(mz=self.mz, intensity=self.intensity)
        for name in ("sizes", "starts", "settings", "precursor_mz", "s", "row", "positive"):
            setattr(part, name, getattr(self, name)[index])
        return part

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Peaks per row."""
        # a copy: tensors that are sent to loader processes move, and a view would stay behind
        lengths: npt.NDArray[np.int64] = self.sizes.numpy().copy()
        return lengths

    @property
    def strata(self) -> npt.NDArray[np.int64]:
        """Kind of each row: polarity and s."""
        kinds: npt.NDArray[np.int64] = (2 * self.positive.long() + self.s.long()).numpy()
        return kinds

    def assemble(
        self, indices: Sequence[int] | npt.NDArray[np.int64], epoch: int = 0
    ) -> SpectraBatch:
        """The rows `indices` as one batch, padded to the longest of them; the same every epoch."""
        sizes = self.sizes[torch.as_tensor(indices, dtype=torch.int64)]
        return self.padded(indices, int(sizes.max()) if len(sizes) else 0)

    def padded(self, indices: Sequence[int] | npt.NDArray[np.int64], width: int) -> SpectraBatch:
        """Assemble the rows `indices` as one batch, each padded to `width` peaks."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        mz, intensity = self.peaks(index, width)
        return SpectraBatch(
            mz,
            intensity,
            self.settings[index],
            self.precursor_mz[index],
            self.s[index],
            self.positive[index],
        )

    def peaks(self, index: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        """m/z and intensity of the rows `index`, each padded to `width` peaks."""
        places = self.starts[index], self.sizes[index]
        return gather(self.mz, *places, width), gather(self.intensity, *places, width)
