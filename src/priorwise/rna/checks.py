"""What a sound RNA table looks like; anything else is refused, never read as something else."""

from typing import Any

import numpy as np
import pyarrow as pa

from priorwise.errors import BadInput
from priorwise.rna.alphabet import normalise
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import PARTITIONS, RNA_SCHEMA
from priorwise.rna.structure import Pairs, pairs_of, sorted_pairs


def check_schema(schema: pa.Schema, where: str) -> None:
    """Refuse a table that lacks a column of the contract or holds it in another type."""
    for wanted in RNA_SCHEMA:
        if wanted.name not in schema.names:
            raise BadInput(f"{where}: column {wanted.name} is missing (expected {wanted.type})")
        found = schema.field(wanted.name).type
        if found != wanted.type:
            raise BadInput(
                f"{where}: column {wanted.name} has type {found} (expected {wanted.type})"
            )


def checked_record(cells: dict[str, Any], where: str) -> RnaRecord:
    """Read a row of the table.

    Parameters
    ----------
    cells : dict of column -> value
    where : str
        Named in the message.

    Raises
    ------
    BadInput
        Naming the column, what was found and what was expected.
    """
    for name in ("id", "sequence", "family", "partition"):
        if cells[name] is None or (not cells[name] and name != "family"):
            raise BadInput(f"{where}: column {name} is empty (expected a value)")
    sequence, partition = cells["sequence"], cells["partition"]
    try:
        if normalise(sequence) != sequence:
            raise ValueError("not in capitals, or with T (expected letters out of ACGUN)")
    except ValueError as error:
        raise BadInput(f"{where}: column sequence: {error}") from error
    if partition not in PARTITIONS:
        raise BadInput(
            f"{where}: column partition: {partition!r} (expected one of {', '.join(PARTITIONS)})"
        )
    pairs = None
    if cells["pairs"] is not None:
        pairs = _checked_pairs(cells["pairs"], len(sequence), f"{where}: column pairs")
    if cells["structure"] is not None:
        _check_structure(cells["structure"], sequence, pairs, f"{where}: column structure")
    return RnaRecord(cells["id"], sequence, pairs, cells["family"], partition)


def _checked_pairs(cell: list[list[int]], length: int, where: str) -> Pairs:
    try:
        pairs = np.array(cell, np.int32).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: a null among the pairs (expected two positions each)") from error
    bad = (pairs[:, 0] < 0) | (pairs[:, 0] >= pairs[:, 1]) | (pairs[:, 1] >= length)
    if bad.any():
        found = pairs[bad][0].tolist()
        raise BadInput(f"{where}: {found} (expected 0 <= i < j < {length}, the sequence's length)")
    if not np.array_equal(pairs, np.unique(sorted_pairs(pairs), axis=0)):
        raise BadInput(f"{where}: not in order, or one twice (expected sorted by i, then j)")
    return pairs


def _check_structure(structure: str, sequence: str, pairs: Pairs | None, where: str) -> None:
    if pairs is None:
        raise BadInput(f"{where}: given without pairs (expected both or neither)")
    if len(structure) != len(sequence):
        raise BadInput(f"{where}: {len(structure)} characters (expected {len(sequence)})")
    try:
        same = np.array_equal(pairs_of(structure), pairs)
    except ValueError as error:
        raise BadInput(f"{where}: {error}") from error
    if not same:
        raise BadInput(f"{where}: says other pairs than column pairs (expected the same)")
