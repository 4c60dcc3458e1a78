"""The rows of a checked RNA table, read into memory."""

from collections.abc import Sequence

import numpy as np

from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.store.tables import PinnedTable, scan

_COLUMNS = ("id", "sequence", "pairs", "family", "partition")


def load_rows(
    pinned: PinnedTable, partitions: Sequence[str], max_length: int | None = None
) -> tuple[RnaRows, int]:
    """Read the rows of some partitions of a checked table into memory, in table order.

    Parameters
    ----------
    pinned : PinnedTable
        As `table.inspect` gives it: its rows are not checked again.
    partitions : sequence of str
        Of TR0, VL0, TS0, NEW and CUT.
    max_length : int, optional
        Longer sequences are left out: cut short, they would lose pairs.

    Returns
    -------
    rows : RnaRows
    n_left_out : int
        Rows of these partitions that are longer than `max_length`.
    """
    records: list[RnaRecord] = []
    left_out = 0
    for batch in scan(pinned, _COLUMNS):
        for cells in batch.to_pylist():
            if cells["partition"] not in partitions:
                continue
            if max_length is not None and len(cells["sequence"]) > max_length:
                left_out += 1
                continue
            pairs = cells["pairs"]
            records.append(
                RnaRecord(
                    cells["id"],
                    cells["sequence"],
                    None if pairs is None else np.array(pairs, np.int32).reshape(-1, 2),
                    cells["family"],
                    cells["partition"],
                )
            )
    return RnaRows.build(records), left_out
