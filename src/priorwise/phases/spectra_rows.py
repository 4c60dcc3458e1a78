"""The rows of a spectra training: where they are, and in which order they come."""

from typing import NamedTuple

import numpy as np

from priorwise.learn.batches import KeyedBatches
from priorwise.phases.desk import WORK_FOLDER
from priorwise.phases.training_options import TrainingOptions
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.packed_rows import PackedRows, pack_rows
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.streamed_rows import StreamedRows
from priorwise.store.tables import open_pinned

#: packs of all tables
PACKED = WORK_FOLDER / "packed"
#: blocks of a streamed window: they are read in one go each, and shuffled together
BLOCKS = 16


class Table(NamedTuple):
    """A checked table, as a job names it."""

    uri: str
    version: int
    digest: str

    @classmethod
    def of(cls, facts: TableFacts) -> "Table":
        """The table that was checked."""
        return cls(facts.uri, facts.version, facts.digest)


def rows_of(
    table: Table, polarity: str, options: TrainingOptions, world_size: int
) -> SpectraRows | StreamedRows:
    """The rows of one polarity or both, from where the options say."""
    pinned = open_pinned(table.uri, table.version)
    if options.rows == "packed":
        return PackedRows(pack_rows(pinned, table.digest, PACKED.absolute()), polarity)
    if options.rows == "streamed":
        return StreamedRows(pinned, polarity, _block(options, world_size), BLOCKS)
    return load_rows(pinned, polarity)


def order_of(
    rows: SpectraRows | StreamedRows,
    options: TrainingOptions,
    shuffle: bool,
    rank: int,
    world_size: int,
) -> KeyedBatches:
    """The batches of one process: of like lengths, each with its share of the kinds of rows.

    Validation keeps no shares, as its sums do not depend on how rows are put together.
    """
    window, block = options.length_window, 1
    if options.rows == "streamed":
        block = _block(options, world_size)
        window = BLOCKS * block // (options.batch_size * world_size)
    return KeyedBatches(
        len(rows),
        options.batch_size,
        seed=options.seed,
        shuffle=shuffle,
        window=window,
        block=block,
        # rows that are all alike stay as drawn
        lengths=rows.lengths if options.length_window > 1 else np.zeros(len(rows)),
        strata=rows.strata if shuffle and options.length_window > 1 else None,
        rank=rank,
        world_size=world_size,
    )


def _block(options: TrainingOptions, world_size: int) -> int:
    """Rows of a block: four batch windows of like lengths make a window of blocks."""
    return options.batch_size * world_size * max(options.length_window // 4, 1)
