"""Spectra tables as the trainers see them: one checking pass, then ragged rows in memory."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from priorwise.errors import BadInput
from priorwise.spectra.schema import N_SETTINGS, POLARITIES, SPECTRA_SCHEMA, polarity_of
from priorwise.store.tables import ContentDigest, PinnedTable, is_remote, open_pinned, scan

MODEL_COLUMNS = (
    "mz_array",
    "intensity_array",
    "instrument_settings",
    "precursor_mz",
    "label",
)


@dataclass(frozen=True)
class TableFacts:
    """What one full reading of a table found.

    Attributes
    ----------
    uri, version, digest : str, int, str
        Where the rows are and a digest of every value in them.
    rows, labelled : dict of (polarity, dataset_id) -> int
        Row counts; `labelled` counts s = 1.
    """

    uri: str
    version: int
    digest: str
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    labelled: dict[tuple[str, str], int] = field(default_factory=dict)

    def n_rows(self, polarity: str | None = None) -> int:
        """Rows of one polarity, or of both."""
        return _total(self.rows, polarity)

    def n_labelled(self, polarity: str | None = None) -> int:
        """Labelled rows of one polarity, or of both."""
        return _total(self.labelled, polarity)

    def label_rate(self, polarity: str) -> float:
        """s: labelled fraction of all rows of `polarity`; a fraction in [0, 1]."""
        rows = self.n_rows(polarity)
        return self.n_labelled(polarity) / rows if rows else 0.0

    def require(self, polarity: str, *, what: str, unlabelled: bool = True) -> None:
        """Refuse a table on which PU learning cannot be done for `polarity`.

        Raises
        ------
        BadInput
            Without rows, without a labelled row, or (if asked) without an unlabelled row.
        """
        rows, labelled = self.n_rows(polarity), self.n_labelled(polarity)
        if rows == 0:
            raise BadInput(f"{self.uri}: no rows of {polarity} polarity ({what} needs some)")
        if labelled == 0:
            raise BadInput(
                f"{self.uri}: none of the {rows} rows of {polarity} polarity is labelled "
                f"({what} needs at least one with label 1)"
            )
        if unlabelled and labelled == rows:
            raise BadInput(
                f"{self.uri}: all {rows} rows of {polarity} polarity are labelled "
                f"({what} needs at least one with label 0)"
            )


def _total(counts: dict[tuple[str, str], int], polarity: str | None) -> int:
    return sum(n for (mode, _), n in counts.items() if polarity in (None, mode))


def table_uri(data: str, table: str) -> str:
    """Address of a table: `data` may be the folder that holds it or the table itself."""
    if is_remote(data):
        return data if data.rstrip("/").endswith(table) else f"{data.rstrip('/')}/{table}"
    if (Path(data) / "_versions").is_dir():
        return data
    if not Path(data).exists():
        raise BadInput(f"{data}: no such folder (expected one that holds the table {table})")
    if not (Path(data) / table).exists():
        raise BadInput(f"{data}: holds no table {table}")
    return str(Path(data) / table)


_inspected: dict[tuple[str, int], TableFacts] = {}


def inspect(data: str, table: str, version: int | None = None) -> tuple[PinnedTable, TableFacts]:
    """Open a table at one version and read it whole once: schema, every row, digest, counts.

    A pinned version never changes, so a second call in the same process reads nothing.

    Raises
    ------
    BadInput
        Naming the file, the column and the first bad row.
    """
    pinned = open_pinned(table_uri(data, table), version)
    key = (pinned.uri, pinned.version)
    if key not in _inspected:
        _inspected[key] = _read_whole(pinned)
    return pinned, _inspected[key]


def _read_whole(pinned: PinnedTable) -> TableFacts:
    check_schema(pinned.schema, pinned.uri)
    digest = ContentDigest(pinned.schema)
    rows: Counter[tuple[str, str]] = Counter()
    labelled: Counter[tuple[str, str]] = Counter()
    first = 0
    for batch in scan(pinned):
        check_rows(batch, pinned.uri, first)
        digest.update(batch)
        positive = polarity_of(settings_matrix(batch))
        dataset_ids = batch.column("dataset_id").to_pylist()
        label = batch.column("label").to_numpy(zero_copy_only=False)
        keys = [(POLARITIES[0 if p else 1], d) for p, d in zip(positive, dataset_ids, strict=True)]
        rows.update(keys)
        labelled.update(k for k, s in zip(keys, label, strict=True) if s == 1)
        first += batch.num_rows
    if first == 0:
        raise BadInput(f"{pinned.uri}: the table has no rows")
    return TableFacts(pinned.uri, pinned.version, digest.hexdigest(), dict(rows), dict(labelled))


def check_schema(schema: pa.Schema, where: str) -> None:
    """Refuse a table that lacks a column of the contract or holds it in another type."""
    for wanted in SPECTRA_SCHEMA:
        if wanted.name not in schema.names:
            raise BadInput(f"{where}: column {wanted.name} is missing (expected {wanted.type})")
        found = schema.field(wanted.name).type
        if not _same_kind(found, wanted.type):
            raise BadInput(
                f"{where}: column {wanted.name} has type {found} (expected {wanted.type})"
            )


def _same_kind(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_list(wanted):
        is_list = (
            pa.types.is_list(found)
            or pa.types.is_large_list(found)
            or pa.types.is_fixed_size_list(found)
        )
        return bool(is_list and found.value_type == wanted.value_type)
    if pa.types.is_string(wanted):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    return bool(found == wanted)


def check_rows(batch: pa.RecordBatch, where: str, first_row: int = 0) -> None:
    """Refuse rows that a trainer would otherwise read as something they are not.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Rows of a spectra table.
    where : str
        Named in the message.
    first_row : int
        Number of the batch's first row in the table.

    Raises
    ------
    BadInput
        Naming the column, the number of bad rows, the first of them and what was expected.
    """

    def refuse(
        bad: npt.NDArray[np.bool_], column: str, found: Callable[[int], object], wanted: str
    ) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            more = int(bad.sum()) - 1
            also = f", and {more} more rows" if more else ""
            raise BadInput(
                f"{where}: column {column}, row {first_row + row}{also}: "
                f"{found(row)} (expected {wanted})"
            )

    for name in MODEL_COLUMNS:
        null = batch.column(name).is_null().to_numpy(zero_copy_only=False)
        refuse(null, name, lambda _: "null", "a value")
    label = batch.column("label").to_numpy(zero_copy_only=False)
    refuse(~np.isin(label, (0, 1)), "label", lambda r: f"label {label[r]:g}", "0 or 1")
    precursor = batch.column("precursor_mz").to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(precursor) | (precursor < 0)
    refuse(bad, "precursor_mz", lambda r: f"{precursor[r]}", "a finite m/z >= 0")

    sizes = {name: _lengths(batch.column(name)) for name in ("mz_array", "intensity_array")}
    unequal = sizes["mz_array"] != sizes["intensity_array"]
    refuse(
        unequal,
        "intensity_array",
        lambda r: f"{sizes['intensity_array'][r]} values beside {sizes['mz_array'][r]} in mz_array",
        "equal lengths",
    )
    refuse(sizes["mz_array"] == 0, "mz_array", lambda _: "no peaks", "at least one peak")
    for name in ("mz_array", "intensity_array"):
        values = _flat(batch.column(name))
        bad_value = ~np.isfinite(values) | (values < 0)
        refuse(
            _any_in_row(bad_value, sizes[name]),
            name,
            lambda _: "NaN, infinite or negative",
            "finite values >= 0",
        )

    n_settings = _lengths(batch.column("instrument_settings"))
    refuse(
        n_settings != N_SETTINGS,
        "instrument_settings",
        lambda r: f"{n_settings[r]} values",
        f"{N_SETTINGS}",
    )
    settings = settings_matrix(batch)
    refuse(
        np.asarray(~np.isfinite(settings).all(axis=1)),
        "instrument_settings",
        lambda _: "NaN or infinite",
        "finite values",
    )
    modes = (settings[:, 14:16] > 0.5).sum(axis=1)
    refuse(
        modes != 1,
        "instrument_settings",
        lambda _: "no single polarity at 14/15",
        "one of the two set",
    )


def _lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    sizes = pa.compute.list_value_length(column).to_numpy(zero_copy_only=False)
    return np.asarray(sizes, dtype=np.int64)


def _flat(column: pa.Array) -> npt.NDArray[np.float32]:
    # a null inside a list becomes NaN, which the finite check refuses
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)


def _any_in_row(bad: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    hits = np.zeros(len(sizes), dtype=bool)
    hits[np.repeat(np.arange(len(sizes)), sizes)[bad]] = True
    return hits


def settings_matrix(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    """The instrument settings of a checked batch, shape (n_rows, 22)."""
    return _flat(batch.column("instrument_settings")).reshape(batch.num_rows, -1)


@dataclass(frozen=True)
class SpectraBatch:
    """Rows padded with zeros to the longest spectrum.

    Attributes
    ----------
    mz, intensity : torch.Tensor of shape (batch, peaks)
    settings : torch.Tensor of shape (batch, 22)
    precursor_mz, s : torch.Tensor of shape (batch,)
    positive : torch.Tensor of shape (batch,), bool
        True for positive ionisation mode.
    """

    mz: torch.Tensor
    intensity: torch.Tensor
    settings: torch.Tensor
    precursor_mz: torch.Tensor
    s: torch.Tensor
    positive: torch.Tensor

    def to(self, device: torch.device) -> "SpectraBatch":
        """The same rows on another device."""
        return SpectraBatch(*(value.to(device, non_blocking=True) for value in vars(self).values()))


class SpectraRows:
    """Rows of a table in memory, peaks stored ragged.

    Attributes
    ----------
    row : torch.Tensor of shape (n,), int64
        Position of each row in the table it was read from.
    """

    def __init__(self, columns: dict[str, npt.NDArray[np.generic]]) -> None:
        # torch tensors travel to spawned loader workers through shared memory, arrays by copy
        def own(name: str) -> torch.Tensor:
            return torch.from_numpy(np.array(columns[name]))

        self.mz, self.intensity, self.offsets = own("mz"), own("intensity"), own("offsets")
        self.settings, self.precursor_mz, self.s = own("settings"), own("precursor_mz"), own("s")
        self.row = own("row")
        self.positive = self.settings[:, 15] > 0.5

    def __len__(self) -> int:
        return len(self.s)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Peaks per row."""
        return np.diff(self.offsets.numpy())

    def __getitems__(self, indices: list[int]) -> SpectraBatch:
        """Assemble the rows `indices` as one padded batch."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        starts, ends = self.offsets[index], self.offsets[index + 1]
        sizes = ends - starts
        width = int(sizes.max()) if len(index) else 0
        present = torch.arange(width)[None, :] < sizes[:, None]
        source = (starts[:, None] + torch.arange(width)[None, :])[present]
        mz = torch.zeros(len(index), width)
        intensity = torch.zeros(len(index), width)
        mz[present] = self.mz[source]
        intensity[present] = self.intensity[source]
        return SpectraBatch(
            mz,
            intensity,
            self.settings[index],
            self.precursor_mz[index],
            self.s[index],
            self.positive[index],
        )


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
        sizes = _lengths(batch.column("mz_array"))
        peak_keep = np.repeat(keep, sizes)
        parts["mz"].append(_flat(batch.column("mz_array"))[peak_keep])
        parts["intensity"].append(_flat(batch.column("intensity_array"))[peak_keep])
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
