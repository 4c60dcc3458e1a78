"""Rows packed into files once and mapped: nothing is read again, and memory need not hold them."""

from pathlib import Path
from typing import Any

import numpy as np

from priorwise.spectra.read_rows import chunks
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.schema import polarity_of
from priorwise.store.packed import open_packed, pack
from priorwise.store.tables import PinnedTable


class PackedRows(SpectraRows):
    """Rows of a pack, as `pack_rows` makes it; loader processes map the same files.

    Parameters
    ----------
    folder : pathlib.Path
    polarity : {"positive", "negative", "both"}
    """

    def __init__(self, folder: Path, polarity: str = "both") -> None:
        self._made_of = folder, polarity
        columns = open_packed(folder)
        sizes = np.asarray(columns["sizes"])
        keep = np.arange(len(sizes))
        if polarity != "both":
            settings = columns["settings"]
            keep = np.flatnonzero(polarity_of(settings) == (polarity == "positive"))
        of_rows = ("sizes", "settings", "precursor_mz", "s", "row")
        super().__init__(
            {
                **{name: columns[name] for name in ("mz", "intensity")},
                **{name: np.asarray(columns[name])[keep] for name in of_rows},
                "starts": (np.cumsum(sizes) - sizes)[keep],
            }
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedRows, self._made_of


def pack_rows(pinned: PinnedTable, digest: str, folder: Path) -> Path:
    """Pack a checked table, unless it was done before.

    Parameters
    ----------
    pinned : PinnedTable
    digest : str
        Of its content, as `facts.inspect` finds it.
    folder : pathlib.Path
        Holds the packs of all tables.

    Returns
    -------
    pathlib.Path
        Of this table's pack.
    """
    return pack(folder / digest, chunks(pinned))
