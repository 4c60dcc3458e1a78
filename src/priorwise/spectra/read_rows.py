"""The rows of a checked spectra table, read into memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from priorwise.spectra.checks import MODEL_COLUMNS, flat_values, list_lengths, settings_matrix
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.schema import polarity_of
from priorwise.store.tables import PinnedTable, scan

Columns = dict[str, npt.NDArray[Any]]
#: columns that have a value for each peak; all others have one for each row
PEAKS = ("mz", "intensity")


def load_rows(pinned: PinnedTable, polarity: str = "both") -> SpectraRows:
    """Read the rows of one polarity (or both) of a checked table into memory.

    Parameters
    ----------
    pinned : PinnedTable
    polarity : {"positive", "negative", "both"}
    """
    return SpectraRows(joined(chunks(pinned, polarity)))


def chunks(pinned: PinnedTable, polarity: str = "both") -> Iterator[Columns]:
    """What `SpectraRows` is made of, in table order, some thousand rows at a time."""
    first = 0
    for batch in scan(pinned, MODEL_COLUMNS):
        yield columns_of(batch, polarity, first)
        first += batch.num_rows


def columns_of(batch: pa.RecordBatch, polarity: str, first_row: int) -> Columns:
    """The rows of one polarity of a batch that begins at row `first_row` of its table."""
    settings, sizes = settings_matrix(batch), list_lengths(batch.column("mz_array"))
    columns: Columns = {
        "mz": flat_values(batch.column("mz_array")),
        "intensity": flat_values(batch.column("intensity_array")),
        "sizes": sizes,
        "settings": settings,
        "row": first_row + np.arange(batch.num_rows),
    }
    for name, column in (("precursor_mz", "precursor_mz"), ("s", "label")):
        values = batch.column(column).to_numpy(zero_copy_only=False)
        columns[name] = np.asarray(values, np.float32)
    if polarity == "both":
        return columns
    keep = polarity_of(settings) == (polarity == "positive")
    peaks = np.repeat(keep, sizes)
    return {name: values[peaks if name in PEAKS else keep] for name, values in columns.items()}


def joined(parts: Iterator[Columns]) -> Columns:
    """Chunks as one."""
    every = list(parts)
    return {name: np.concatenate([part[name] for part in every]) for name in every[0]}
