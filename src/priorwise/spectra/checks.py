"""What a sound spectra table looks like; anything else is refused, never read as something else."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from priorwise.errors import BadInput
from priorwise.spectra.schema import LARGEST, N_SETTINGS, SPECTRA_SCHEMA


class BadCell(BadInput):
    """A value of a table is not sound.

    Parameters
    ----------
    text : str
        Where, what was found, and what was expected.
    column : str
        The column it stands in.
    """

    def __init__(self, text: str, column: str) -> None:
        super().__init__(text)
        self.column = column


MODEL_COLUMNS = (
    "mz_array",
    "intensity_array",
    "instrument_settings",
    "precursor_mz",
    "label",
)


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
    BadCell
        Naming the column, the number of bad rows, the first of them and what was expected.
    """

    def refuse(
        bad: npt.NDArray[np.bool_], column: str, found: Callable[[int], object], wanted: str
    ) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            more = int(bad.sum()) - 1
            also = f", and {more} more rows" if more else ""
            raise BadCell(
                f"{where}: column {column}, row {first_row + row}{also}: "
                f"{found(row)} (expected {wanted})",
                column,
            )

    for name in MODEL_COLUMNS:
        null = batch.column(name).is_null().to_numpy(zero_copy_only=False)
        refuse(null, name, lambda _: "null", "a value")
    null = batch.column("dataset_id").is_null().to_numpy(zero_copy_only=False)
    refuse(null, "dataset_id", lambda _: "null", "the name of the data set")
    label = batch.column("label").to_numpy(zero_copy_only=False)
    refuse(~np.isin(label, (0, 1)), "label", lambda r: f"label {label[r]:g}", "0 or 1")
    precursor = batch.column("precursor_mz").to_numpy(zero_copy_only=False)
    bad = ~((precursor >= 0) & (precursor <= LARGEST))  # NaN, too
    refuse(bad, "precursor_mz", lambda r: f"{precursor[r]}", "a finite m/z >= 0")

    sizes = {name: list_lengths(batch.column(name)) for name in ("mz_array", "intensity_array")}
    unequal = sizes["mz_array"] != sizes["intensity_array"]
    refuse(
        unequal,
        "intensity_array",
        lambda r: f"{sizes['intensity_array'][r]} values beside {sizes['mz_array'][r]} in mz_array",
        "equal lengths",
    )
    refuse(sizes["mz_array"] == 0, "mz_array", lambda _: "no peaks", "at least one peak")
    for name in ("mz_array", "intensity_array"):
        values = flat_values(batch.column(name))
        bad_value = ~((values >= 0) & (values <= LARGEST))
        refuse(
            _any_in_row(bad_value, sizes[name]),
            name,
            lambda _: "NaN, infinite, negative or beyond 1e15",
            "finite values >= 0",
        )

    n_settings = list_lengths(batch.column("instrument_settings"))
    refuse(
        n_settings != N_SETTINGS,
        "instrument_settings",
        lambda r: f"{n_settings[r]} values",
        f"{N_SETTINGS}",
    )
    settings = settings_matrix(batch)
    refuse(
        np.asarray(~(np.abs(settings) <= LARGEST).all(axis=1)),
        "instrument_settings",
        lambda _: "NaN, infinite or beyond 1e15",
        "finite values",
    )
    modes = (settings[:, 14:16] > 0.5).sum(axis=1)
    refuse(
        modes != 1,
        "instrument_settings",
        lambda _: "no single polarity at 14/15",
        "one of the two set",
    )


def list_lengths(column: pa.Array) -> npt.NDArray[np.int64]:
    """Length of each list of a column."""
    sizes = pc.list_value_length(column).to_numpy(zero_copy_only=False)
    return np.asarray(sizes, dtype=np.int64)


def flat_values(column: pa.Array) -> npt.NDArray[np.float32]:
    """All values of a list column, one after the other."""
    # a null inside a list becomes NaN, which the finite check refuses
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32)


def _any_in_row(bad: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    hits = np.zeros(len(sizes), dtype=bool)
    hits[np.repeat(np.arange(len(sizes)), sizes)[bad]] = True
    return hits


def settings_matrix(batch: pa.RecordBatch) -> npt.NDArray[np.float32]:
    """The instrument settings of a checked batch, shape (n_rows, 22)."""
    return flat_values(batch.column("instrument_settings")).reshape(batch.num_rows, -1)
