"""Columns that neighbouring rows share, stored once in a table of their own, with references to it.

The seven MS2 scans after an MS1 scan are seven rows with the same peaks. A table in this form has a
column of references in place of the shared ones, and says in its schema which table they are in, at
which version. Whoever scans it sees the shared columns as if they were repeated.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

#: schema metadata of a table with references
SHARED = b"priorwise.shared"
#: rows that may be read for nothing, in multiples of those needed, before rows are taken one by one
SPARSE = 4


@dataclass(frozen=True)
class Sharing:
    """Which columns are shared, and how the references are called.

    Attributes
    ----------
    columns : tuple of str
        Shared together: equal in neighbouring rows, or all written anew.
    reference : str
        Column of row numbers in the other table.
    ending : str
        What the other table's name has more.
    """

    columns: tuple[str, ...]
    reference: str
    ending: str

    def split_schema(self, schema: pa.Schema, version: int) -> pa.Schema:
        """Schema of the table with references, to the other table at `version`."""
        said = {
            "columns": list(self.columns),
            "reference": self.reference,
            "ending": self.ending,
            "version": version,
            "order": schema.names,
        }
        fields = [field for field in schema if field.name not in self.columns]
        metadata = {**(schema.metadata or {}), SHARED: json.dumps(said).encode()}
        return pa.schema([*fields, pa.field(self.reference, pa.int64())], metadata)

    def shared_schema(self, schema: pa.Schema) -> pa.Schema:
        """Schema of the other table."""
        return pa.schema([schema.field(name) for name in self.columns])


class Splitter:
    """Splits batches into what is shared and what is not; compares neighbours across batches."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing
        self._last: pa.RecordBatch | None = None  # the last row's shared columns
        self._n = 0

    def split(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """The rows of the other table that begin in this batch, and the batch with references."""
        sharing = self._sharing
        shared = batch.select(list(sharing.columns))
        before = shared if self._last is None else None
        if before is None:
            before = pa.Table.from_batches([self._last, shared]).combine_chunks().to_batches()[0]
        new = np.ones(before.num_rows, bool)
        new[1:] = ~np.logical_and.reduce([_equals_previous(column) for column in before.columns])
        if self._last is not None:
            new = new[1:]
        references = self._n - 1 + np.cumsum(new)
        self._n += int(new.sum())
        self._last = shared.slice(batch.num_rows - 1)
        kept = [name for name in batch.schema.names if name not in sharing.columns]
        rest = batch.select(kept)
        columns = [*rest.columns, pa.array(references, pa.int64())]
        names = [*kept, sharing.reference]
        return shared.filter(pa.array(new)), pa.RecordBatch.from_arrays(columns, names)


def _equals_previous(column: pa.Array) -> NDArray[np.bool_]:
    """Whether each list but the first equals the one before it, bit by bit."""
    if column.null_count:
        return np.zeros(len(column) - 1, bool)
    sizes = pc.list_value_length(column).to_numpy()
    values = column.flatten()
    if values.null_count:
        return np.zeros(len(column) - 1, bool)
    flat = values.to_numpy().view(f"u{values.type.bit_width // 8}")
    ends = np.cumsum(sizes)
    same = sizes[1:] == sizes[:-1]
    for row in np.flatnonzero(same):
        start, middle, end = ends[row] - sizes[row], ends[row], ends[row + 1]
        same[row] = np.array_equal(flat[start:middle], flat[middle:end])
    return np.asarray(same, bool)


@dataclass(frozen=True)
class SharedColumns:
    """The other table of a table with references, as its schema names it.

    Attributes
    ----------
    columns, order : tuple of str
        The shared columns; all columns as they are seen.
    reference : str
    dataset : lance.LanceDataset
        At the version that the references are for.
    """

    columns: tuple[str, ...]
    order: tuple[str, ...]
    reference: str
    dataset: lance.LanceDataset

    @classmethod
    def of(
        cls, table: lance.LanceDataset, uri: str, options: dict[str, str] | None
    ) -> "SharedColumns | None":
        """What the table at `uri` says of it; None if nothing is shared.

        Raises
        ------
        ValueError, OSError
            If the other table is not there.
        """
        said = _said(table.schema)
        if said is None:
            return None
        other = lance.dataset(
            f"{uri.rstrip('/')}{said['ending']}", version=said["version"], storage_options=options
        )
        return cls(tuple(said["columns"]), tuple(said["order"]), said["reference"], other)

    def schema(self, table: pa.Schema) -> pa.Schema:
        """Schema as it is seen: as if the columns were repeated."""
        fields = {field.name: field for field in [*table, *self.dataset.schema]}
        metadata = {k: v for k, v in (table.metadata or {}).items() if k != SHARED}
        return pa.schema([fields[name] for name in self.order], metadata or None)

    def physical(self, columns: Sequence[str] | None) -> list[str]:
        """Columns of the table with references that are needed to show `columns`."""
        wanted = self.order if columns is None else columns
        own = [name for name in wanted if name not in self.columns]
        return [*own, self.reference] if len(own) < len(wanted) else own

    def joined(self, batch: pa.RecordBatch, columns: Sequence[str] | None) -> pa.RecordBatch:
        """The batch with its shared columns, in the order wanted."""
        wanted = list(self.order if columns is None else columns)
        shared = [name for name in wanted if name in self.columns]
        found = {name: batch.column(name) for name in batch.schema.names}
        if shared and batch.num_rows:
            references = batch.column(self.reference).to_numpy()
            rows, place = self._rows(references, shared)
            found |= {name: rows.column(name).take(place) for name in shared}
        elif shared:
            found |= {name: pa.array([], self.dataset.schema.field(name).type) for name in shared}
        return pa.RecordBatch.from_arrays([found[name] for name in wanted], wanted)

    def _rows(
        self, references: NDArray[np.int64], columns: list[str]
    ) -> tuple[pa.RecordBatch, pa.Array]:
        """Rows of the other table, and which of them each reference means."""
        first, n = int(references.min()), int(np.ptp(references)) + 1
        if n <= SPARSE * len(references):
            table = self.dataset.scanner(columns=columns, offset=first, limit=n).to_table()
            place = references - first
        else:
            unique, place = np.unique(references, return_inverse=True)
            table = self.dataset.take(unique.tolist(), columns=columns)
        return table.combine_chunks().to_batches()[0], pa.array(place)


def _said(schema: pa.Schema) -> dict[str, Any] | None:
    text = (schema.metadata or {}).get(SHARED)
    return None if text is None else json.loads(text)


def parts(
    batches: Iterable[pa.RecordBatch], sharing: Sharing, shared: bool
) -> Iterator[pa.RecordBatch]:
    """What is shared of all batches, or the batches with references."""
    splitter = Splitter(sharing)
    for batch in batches:
        if batch.num_rows:
            both = splitter.split(batch)
            part = both[0] if shared else both[1]
            if part.num_rows:
                yield part
