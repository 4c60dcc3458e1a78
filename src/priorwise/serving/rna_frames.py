"""Data frames of sequences to what a network takes; what is wrong is named by row and column."""

from typing import Any

import pandas as pd

from priorwise.rna.alphabet import normalise
from priorwise.serving.frames import bad, require

SEQUENCE = "sequence"
#: bases of a sequence, whatever the network: memory grows with the square (2,000 bases: 3 GB with
#: the usual 32 channels)
MAX_BASES = 2000
EXPECTED = "letters A, C, G, U, T, N of either case"


def sequences_of(frame: pd.DataFrame, longest: int) -> list[str]:
    """Normalised sequences: capitals, U for T.

    Parameters
    ----------
    frame : pandas.DataFrame
        With a column `sequence`; others are not looked at.
    longest : int
        Bases that the network takes at most.

    Raises
    ------
    BadInput
        Naming the column and the first bad row (counted from 0).
    """
    require(frame, [SEQUENCE])
    return [_sequence(cell, row, longest) for row, cell in enumerate(frame[SEQUENCE])]


def _sequence(cell: Any, row: int, longest: int) -> str:
    if not isinstance(cell, str):
        missing = pd.api.types.is_scalar(cell) and pd.isna(cell)
        raise bad(SEQUENCE, row, "nothing" if missing else type(cell).__name__, EXPECTED)
    if not cell:
        raise bad(SEQUENCE, row, "no bases", EXPECTED)
    if len(cell) > longest:
        raise bad(SEQUENCE, row, f"{len(cell)} bases", f"at most {longest}")
    try:
        return normalise(cell)
    except ValueError as error:
        found = str(error).partition(" (expected")[0]
        raise bad(SEQUENCE, row, found, EXPECTED) from error
