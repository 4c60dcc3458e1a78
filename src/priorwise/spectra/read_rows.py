"""The rows of a checked spectra table, read into memory."""

import numpy as np
import numpy.typing as npt

from priorwise.spectra.checks import MODEL_COLUMNS, flat_values, list_lengths, settings_matrix
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.schema import polarity_of
from priorwise.store.tables import PinnedTable, scan


def load_rows(pinned: PinnedTable, polarity: str = "both") -> SpectraRows:
    """Read the rows of one polarity (or both) of a checked table into memory.

    Parameters
    ----------
    pinned : PinnedTable
    polarity : {"positive", "negative", "both"}
    """
    parts: dict[str, list[npt.NDArray[np.generic]]] = {
        name: [] for name in ("mz", "intensity", "sizes", "settings", "precursor_mz", "s", "row")
    }
    first = 0
    for batch in scan(pinned, MODEL_COLUMNS):
        settings = settings_matrix(batch)
        positive = polarity_of(settings)
        keep = (
            np.ones(len(positive), bool)
            if polarity == "both"
            else positive == (polarity == "positive")
        )
        sizes = list_lengths(batch.column("mz_array"))
        peak_keep = np.repeat(keep, sizes)
        parts["mz"].append(flat_values(batch.column("mz_array"))[peak_keep])
        parts["intensity"].append(flat_values(batch.column("intensity_array"))[peak_keep])
        parts["sizes"].append(sizes[keep])
        parts["settings"].append(settings[keep])
        for name, column in (("precursor_mz", "precursor_mz"), ("s", "label")):
            values = batch.column(column).to_numpy(zero_copy_only=False)
            parts[name].append(np.asarray(values, np.float32)[keep])
        parts["row"].append(first + np.flatnonzero(keep))
        first += batch.num_rows
    columns = {name: np.concatenate(values) for name, values in parts.items()}
    columns["offsets"] = np.concatenate([[0], np.cumsum(columns.pop("sizes"))]).astype(np.int64)
    return SpectraRows(columns)
