"""Rows read from the table when they are needed: no copy on disk, and few of them in memory."""

import numpy as np
import numpy.typing as npt

from priorwise.spectra.checks import MODEL_COLUMNS
from priorwise.spectra.read_rows import PEAKS, Columns, chunks, columns_of, joined
from priorwise.spectra.rows import SpectraBatch, SpectraRows
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
        self._blocks: dict[int, Columns] = {}
        #: the blocks in memory as one, and where each begins in it
        self._together: SpectraRows
        self._first = np.zeros(-(-len(self) // block), np.int64)

    def __reduce__(self) -> tuple[object, ...]:
        return _reopened, self._made_of

    def __len__(self) -> int:
        return len(self._row)

    def assemble(self, indices: npt.NDArray[np.int64], epoch: int = 0) -> SpectraBatch:
        """The rows `indices` as one batch, as `SpectraRows.assemble` would give it."""
        index = np.asarray(indices)
        of_block = index // self._block
        self._have(set(of_block.tolist()) or {0})
        return self._together.assemble(self._first[of_block] + index % self._block)

    def _have(self, needed: set[int]) -> None:
        """Have the needed blocks in memory; forget others if there are too many."""
        missing = sorted(needed - self._blocks.keys())
        if not missing:
            return
        if len(self._blocks) + len(missing) > self._held:
            self._blocks = {k: part for k, part in self._blocks.items() if k in needed}
        self._blocks |= {block: self._read(block) for block in missing}
        together = joined(iter(self._blocks.values()))
        self._together = SpectraRows(together)
        row = peak = 0
        for block, part in self._blocks.items():
            self._first[block] = row
            rows, peaks = slice(row, row + len(part["s"])), slice(peak, peak + len(part["mz"]))
            # a view of what was joined: nothing is in memory twice
            self._blocks[block] = {
                name: values[peaks if name in PEAKS else rows] for name, values in together.items()
            }
            row, peak = rows.stop, peaks.stop

    def _read(self, block: int) -> Columns:
        first, last = self._row[[block * self._block, self._last(block)]].tolist()
        parts, at = [], first
        for batch in scan(self._pinned, MODEL_COLUMNS, first=first, end=last + 1):
            parts.append(columns_of(batch, self._polarity, at))
            at += batch.num_rows
        return joined(iter(parts))

    def _last(self, block: int) -> int:
        return min((block + 1) * self._block, len(self)) - 1


def _reopened(uri: str, version: int, *others: object) -> StreamedRows:
    return StreamedRows(open_pinned(uri, version), *others)  # type: ignore[arg-type]
