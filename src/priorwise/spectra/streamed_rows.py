"""Rows read from the table when they are needed: no copy on disk, and few of them in memory."""

import numpy as np
import numpy.typing as npt
import torch

from priorwise.spectra.checks import MODEL_COLUMNS
from priorwise.spectra.read_rows import chunks, columns_of, joined
from priorwise.spectra.rows import SpectraBatch, SpectraRows
from priorwise.spectra.schema import N_SETTINGS
from priorwise.store.tables import PinnedTable, open_pinned, scan


class StreamedRows:
    """Rows of a table of which only some blocks are in memory at a time.

    Batches may come in any order; if one window's batches use few blocks (`KeyedBatches` with the
    same `block`), each block is read once an epoch.

    Parameters
    ----------
    pinned : PinnedTable
        Checked; it is read once, for what is known of each row (some 30 bytes).
    polarity : {"positive", "negative", "both"}
    block : int
        Rows of a block.
    held : int
        Blocks in memory, at least those of a window.

    Attributes
    ----------
    lengths, strata : numpy.ndarray of shape (n_rows,)
        As those of `SpectraRows`.
    """

    def __init__(self, pinned: PinnedTable, polarity: str, block: int, held: int) -> None:
        self._made_of = pinned.uri, pinned.version, polarity, block, held
        self._pinned, self._polarity, self._block, self._held = pinned, polarity, block, held
        known = [
            (rows.row.numpy(), rows.lengths, rows.strata)
            for rows in map(SpectraRows, chunks(pinned, polarity))
        ]
        self._row, self.lengths, self.strata = (
            np.concatenate([part[k] for part in known]) for k in range(3)
        )
        self._blocks: dict[int, SpectraRows] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return _reopened, self._made_of

    def __len__(self) -> int:
        return len(self._row)

    def assemble(self, indices: npt.NDArray[np.int64], epoch: int = 0) -> SpectraBatch:
        """The rows `indices` as one batch, as `SpectraRows.assemble` would give it."""
        index = np.asarray(indices)
        of_block = index // self._block
        self._read(set(of_block.tolist()))
        peaks = torch.zeros(2, len(index), int(self.lengths[index].max(initial=0)))
        settings = torch.zeros(len(index), N_SETTINGS)
        precursor_mz, s = torch.zeros(len(index)), torch.zeros(len(index))
        positive = torch.zeros(len(index), dtype=torch.bool)
        for block in np.unique(of_block):
            lines = np.flatnonzero(of_block == block)
            rows, here = self._blocks[int(block)], torch.from_numpy(index[lines] % self._block)
            rows.copy_peaks(here, peaks.numpy(), lines.tolist())
            at = torch.from_numpy(lines)
            settings[at], positive[at] = rows.settings[here], rows.positive[here]
            precursor_mz[at], s[at] = rows.precursor_mz[here], rows.s[here]
        return SpectraBatch(peaks[0], peaks[1], settings, precursor_mz, s, positive)

    def _read(self, needed: set[int]) -> None:
        """Have the needed blocks in memory; forget others if there are too many."""
        missing = sorted(needed - self._blocks.keys())
        if len(self._blocks) + len(missing) > self._held:
            self._blocks = {k: rows for k, rows in self._blocks.items() if k in needed}
        for block in missing:
            first, last = self._row[[block * self._block, self._last(block)]].tolist()
            parts, at = [], first
            for batch in scan(self._pinned, MODEL_COLUMNS, first=first, end=last + 1):
                parts.append(columns_of(batch, self._polarity, at))
                at += batch.num_rows
            self._blocks[block] = SpectraRows(joined(iter(parts)))

    def _last(self, block: int) -> int:
        return min((block + 1) * self._block, len(self)) - 1


def _reopened(uri: str, version: int, *others: object) -> StreamedRows:
    return StreamedRows(open_pinned(uri, version), *others)  # type: ignore[arg-type]
