"""Lance tables: open one pinned version, read it in a stream, digest it, write it in one commit."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lance
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from priorwise.durable import sync_folder
from priorwise.errors import BadInput, in_short
from priorwise.store.addresses import is_remote, storage_options
from priorwise.store.damage import is_damage
from priorwise.store.file_digests import check_manifests, write_digests
from priorwise.store.memory import system_memory
from priorwise.store.remote_digest import write_rows_digest
from priorwise.store.shared import SharedColumns, Sharing, parts

#: MLflow refuses dataset digests over 36 characters
DIGEST_CHARS = 32
SCAN_ROWS = 4096
ROWS_PER_FILE = 1 << 20
_HINT, _HINT_BYTES = "_versions/latest_version_hint.json", 1000
#: what the folder of a table that is being written begins with
STAGING = ".partial-"


@dataclass(frozen=True)
class PinnedTable:
    """One version of one Lance table: every read of it sees the same rows."""

    uri: str
    version: int
    dataset: lance.LanceDataset
    shared: SharedColumns | None = None

    @property
    def schema(self) -> pa.Schema:
        """Columns and types, shared ones as if they were repeated."""
        schema: pa.Schema = self.dataset.schema
        return schema if self.shared is None else self.shared.schema(schema)

    @property
    def written(self) -> str:
        """When this version was committed: tells a table from one made anew at its address."""
        with self._whole():
            known = {v["version"]: v["timestamp"] for v in self.dataset.versions()}
            return str(known[self.version])

    @property
    def n_rows(self) -> int:
        """Rows of this version."""
        with self._whole():
            return int(self.dataset.count_rows())

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Name the table if Lance finds it damaged; what passed through at opening may be so."""
        try:
            yield
        except BaseException as error:
            if not is_damage(error):
                raise
            raise BadInput(
                f"{self.uri}: version {self.version} cannot be read whole ({_first_line(error)})"
            ) from error


def table_exists(uri: str) -> bool:
    """Whether a readable Lance table lies at `uri`."""
    if not is_remote(uri) and not Path(uri, "_versions").is_dir():
        return False
    try:
        lance.dataset(uri, storage_options=storage_options(uri))
    except BaseException as error:
        if not is_damage(error):
            raise
        return False
    return True


def open_pinned(uri: str, version: int | None = None) -> PinnedTable:
    """Open a table at one version.

    Parameters
    ----------
    uri : str
        Path or s3:// address of the table's directory.
    version : int, optional
        The version; the newest if not given.

    Raises
    ------
    BadInput
        If there is no table, or no such version, at `uri`.
    """
    if not is_remote(uri):
        path = Path(uri)
        if not path.exists():
            raise BadInput(f"{uri}: no such table (expected a Lance table directory)")
        if not (path / "_versions").is_dir():
            raise BadInput(f"{uri}: is not a Lance table (no _versions folder in it)")
        uri = str(path.resolve())
        check_manifests(path.resolve())
    hinted = 0 if version or is_remote(uri) else _hinted_version(Path(uri))
    try:
        dataset = lance.dataset(uri, version=version, storage_options=storage_options(uri))
        shared = SharedColumns.of(dataset, uri, storage_options(uri))
    except BaseException as error:
        if not is_damage(error):
            raise
        wanted = "newest version" if version is None else f"version {version}"
        hint = "; are credentials, region and endpoint set?" if is_remote(uri) else ""
        raise BadInput(
            f"{uri}: cannot open {wanted} of the table ({_first_line(error)}{hint})"
        ) from error
    if hinted > dataset.version:
        raise BadInput(
            f"{uri}: the manifest of version {hinted} is missing (the newest is {dataset.version}; "
            f"{_HINT} knows of the other: if that file is damaged, remove it)"
        )
    return PinnedTable(uri, int(dataset.version), dataset, shared)


def _hinted_version(folder: Path) -> int:
    """The newest version as Lance noted it, behind a manifest; 0 if it did not."""
    try:
        with (folder / _HINT).open("rb") as file:
            version = json.loads(file.read(_HINT_BYTES))["version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return 0
    return version if isinstance(version, int) else 0


def scan(
    table: PinnedTable,
    columns: Sequence[str] | None = None,
    batch_rows: int = SCAN_ROWS,
    *,
    first: int | None = None,
    end: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a pinned table in table order.

    Parameters
    ----------
    table : PinnedTable
    columns : sequence of str, optional
        Read only these.
    batch_rows : int
        Rows of a batch, at most.
    first, end : int, optional
        Read only the rows `first` to `end` - 1.

    Raises
    ------
    BadInput
        If a fragment is missing, truncated or otherwise unreadable.
    """
    shared = table.shared
    physical = columns if shared is None else shared.physical(columns)
    with table._whole():
        for batch in table.dataset.scanner(
            columns=list(physical) if physical is not None else None,
            batch_size=batch_rows,
            batch_readahead=2,
            fragment_readahead=1,
            scan_in_order=True,
            offset=first,
            limit=None if end is None else end - (first or 0),
        ).to_batches():
            yield batch if shared is None else shared.joined(batch, columns)


class ContentDigest:
    """Digest of a table's rows, independent of how they are cut into batches and fragments.

    Each column feeds its own SHA-256 streams (lengths, values, nulls), so two tables agree only
    if schema, row order and every value agree bit by bit.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._names = sorted(schema.names)
        self._parts = {name: [hashlib.sha256() for _ in range(3)] for name in self._names}
        self._types = {name: str(schema.field(name).type) for name in self._names}
        self.n_rows = 0

    def of(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Take in rows as they pass by."""
        for batch in batches:
            self.update(batch)
            yield batch

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        self.n_rows += batch.num_rows
        for name in self._names:
            self._feed(self._parts[name], batch.column(name))

    def _feed(self, parts: list["hashlib._Hash"], column: pa.Array) -> None:
        lengths, values, nulls = parts
        nulls.update(column.is_null().to_numpy(zero_copy_only=False).tobytes())
        kind = column.type
        if (
            pa.types.is_fixed_size_list(kind)
            or pa.types.is_list(kind)
            or pa.types.is_large_list(kind)
        ):
            sizes = pc.fill_null(pc.list_value_length(column), -1)
            lengths.update(sizes.cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
            inner = column.flatten()
            while pa.types.is_fixed_size_list(inner.type):
                # their size is in the type; fed here, it would mix with the lists' own lengths
                # in an order that depends on the batches
                inner = inner.flatten()
            self._feed([lengths, values, hashlib.sha256()], inner)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            sizes = pc.fill_null(pc.binary_length(column), -1)
            lengths.update(sizes.cast(pa.int64()).to_numpy(zero_copy_only=False).tobytes())
            values.update("".join(v or "" for v in column.to_pylist()).encode())
        else:
            filled = pc.fill_null(column, 0)
            values.update(np.ascontiguousarray(filled.to_numpy(zero_copy_only=False)).tobytes())

    def hexdigest(self) -> str:
        """The digest so far, 32 hexadecimal characters."""
        whole = hashlib.sha256(str(self.n_rows).encode())
        for name in self._names:
            whole.update(f"{name}:{self._types[name]}".encode())
            for part in self._parts[name]:
                whole.update(part.digest())
        return whole.hexdigest()[:DIGEST_CHARS]


def write_table(
    uri: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    rows_per_file: int = ROWS_PER_FILE,
) -> int:
    """Write a new table in one commit: it is there whole, or not at all.

    A local table is written beside its place, with the digests of its files, and renamed; an
    object-store table becomes visible with its one manifest, and the digest of its rows follows.

    Parameters
    ----------
    uri : str
        Path or s3:// address of the new table's directory.
    schema : pyarrow.Schema
    batches : iterable of pyarrow.RecordBatch
        Consumed as they come.
    rows_per_file : int
        Rows of a fragment; the writer's memory grows with it.

    Returns
    -------
    int
        The version written.

    Raises
    ------
    BadInput
        If a table is already there: data is never overwritten.
    """
    digest = ContentDigest(schema)
    passing = digest.of(batches) if is_remote(uri) else batches
    return _write_new(uri, schema, passing, rows_per_file, digest)


def _write_new(
    uri: str,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    rows_per_file: int,
    digest: ContentDigest,
) -> int:
    """Write a new table; `digest` is that of its rows as they are read, once all are written."""
    if table_exists(uri):
        raise BadInput(f"{uri}: a table is already there; choose another `out` or remove it")
    if is_remote(uri):
        version = int(_write(uri, schema, batches, rows_per_file).version)
        write_rows_digest(uri, version, digest.hexdigest())
        return version
    target = Path(uri)
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.parent / f"{STAGING}{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        version = int(_write(str(staging), schema, batches, rows_per_file).version)
        write_digests(staging)
        staging.rename(target)
        sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return version


def write_shared_table(
    uri: str,
    schema: pa.Schema,
    batches: Callable[[], Iterable[pa.RecordBatch]],
    sharing: Sharing,
    rows_per_file: int = ROWS_PER_FILE,
) -> int:
    """Write a table of which some columns are stored once for neighbouring rows that share them.

    It reads like one that repeats them, and has the same digest.

    Parameters
    ----------
    uri : str
    schema : pyarrow.Schema
        With the shared columns.
    batches : callable
        The same rows at each of two calls.
    sharing : Sharing
    rows_per_file : int
        Of the table with references; files of the other one have an eighth of it, as its rows hold
        most of the bytes and the writer keeps a file in memory.

    Returns
    -------
    int
        The version written.

    Raises
    ------
    BadInput
        As `write_table`.
    """
    other = f"{uri.rstrip('/')}{sharing.ending}"
    shared = parts(batches(), sharing, True)
    version = write_table(other, sharing.shared_schema(schema), shared, max(rows_per_file // 8, 1))
    digest = ContentDigest(schema)
    whole = digest.of(batches()) if is_remote(uri) else batches()
    rest = parts(whole, sharing, False)
    split = sharing.split_schema(schema, version)
    return _write_new(uri, split, rest, rows_per_file, digest)


def _write(
    uri: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows_per_file: int
) -> lance.LanceDataset:
    with system_memory():
        return lance.write_dataset(
            pa.RecordBatchReader.from_batches(schema, iter(batches)),
            uri,
            mode="create",
            max_rows_per_file=rows_per_file,
            storage_options=storage_options(uri),
        )


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    # Lance appends the place in its own source
    return in_short(text.splitlines()[0].partition(", /")[0], 200)
