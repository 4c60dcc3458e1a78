"""What is wrong with a data frame, named by column and row: for the models of every pipeline."""

from collections.abc import Iterable

import pandas as pd

from priorwise.errors import BadInput


def bad(column: str, row: int, found: str, expected: str) -> BadInput:
    """The error for one cell; rows are counted from 0."""
    return BadInput(f"column {column}, row {row}: {found} (expected {expected})")


def require(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Look whether columns are there, each once.

    Raises
    ------
    BadInput
        Naming the first one that is not.
    """
    names = list(frame.columns)
    for name in columns:
        if name not in names:
            raise BadInput(f"column {name} is missing")
        if names.count(name) > 1:
            raise BadInput(f"column {name} is there {names.count(name)} times (expected once)")
