"""Data frames of spectra to rows for the network; what is wrong is named by row and column."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from priorwise.errors import BadInput
from priorwise.serving.frames import bad, require
from priorwise.spectra.preprocess import preprocess_ms1
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.schema import (
    CATEGORICAL_SETTINGS,
    LARGEST,
    N_SETTINGS,
    NUMERIC_SETTINGS,
    POLARITIES,
    POLARITY_NEGATIVE,
    POLARITY_POSITIVE,
)
from priorwise.spectra.settings import SettingsStats, normalise, raw_settings

PEAK_COLUMNS = ("mz_array", "intensity_array")
#: a raw row's polarity; the other settings have the names of `schema`
POLARITY_COLUMN = "polarity"
NAMED_CATEGORIES = tuple(name for name in CATEGORICAL_SETTINGS if name != "Polarity")
#: peaks of one row as of a table (ingest keeps 400); attention over more would not end
MAX_ROW_PEAKS = 4000
#: peaks of one raw row, before they are filtered
MAX_RAW_PEAKS = 2_000_000

Floats = npt.NDArray[np.float64]


def table_rows(frame: pd.DataFrame) -> SpectraRows:
    """Rows as a spectra table holds them: peaks filtered and square-rooted, settings z-scored.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns mz_array (Th), intensity_array (square root of counts), precursor_mz (Th),
        instrument_settings (22 values).

    Raises
    ------
    BadInput
        Naming the column and the first bad row (counted from 0).
    """
    require(frame, (*PEAK_COLUMNS, "precursor_mz", "instrument_settings"))
    whole = _all_at_once(frame)
    if whole is not None:
        return whole
    peaks = [_peaks(frame, row, MAX_ROW_PEAKS) for row in range(len(frame))]
    settings = [
        _numbers(value, "instrument_settings", row)
        for row, value in enumerate(frame["instrument_settings"])
    ]
    for row, values in enumerate(settings):
        if len(values) != N_SETTINGS:
            raise bad("instrument_settings", row, f"{len(values)} values", f"{N_SETTINGS}")
        _finite(values, "instrument_settings", row)
        pair = values[[POLARITY_NEGATIVE, POLARITY_POSITIVE]].tolist()
        if sorted(pair) != [0.0, 1.0]:
            found = f"polarity {pair[0]:g}, {pair[1]:g} at 14 and 15"
            raise bad("instrument_settings", row, found, "one of them 1, the other 0")
    matrix = np.array(settings, dtype=np.float32).reshape(-1, N_SETTINGS)
    return _rows(peaks, matrix, _precursors(frame))


def _all_at_once(frame: pd.DataFrame) -> SpectraRows | None:
    """Sound rows through Arrow, several times as fast; None if one is not, or is unusual.

    Going through the rows one by one then says which and why, or takes it after all.
    """
    numbers = pa.list_(pa.float64())
    try:
        lists = {
            name: pa.array(frame[name].tolist(), numbers)
            for name in (*PEAK_COLUMNS, "instrument_settings")
        }
        precursor = np.asarray(frame["precursor_mz"].to_numpy(), dtype=np.float64)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if not len(frame) or any(x.null_count or x.flatten().null_count for x in lists.values()):
        return None
    sizes = {name: pc.list_value_length(x).to_numpy() for name, x in lists.items()}
    values = {name: x.flatten().to_numpy() for name, x in lists.items()}
    n_peaks = sizes["mz_array"]
    sound = (
        (n_peaks == sizes["intensity_array"]).all()
        and (n_peaks >= 1).all()
        and (n_peaks <= MAX_ROW_PEAKS).all()
        and (sizes["instrument_settings"] == N_SETTINGS).all()
        and all(_within(values[name], 0) for name in PEAK_COLUMNS)
        and _within(values["instrument_settings"], -LARGEST)
        and _within(precursor, 0)
    )
    if not sound:
        return None
    settings = values["instrument_settings"].reshape(-1, N_SETTINGS)
    pair = np.sort(settings[:, [POLARITY_NEGATIVE, POLARITY_POSITIVE]], axis=1)
    if (pair != (0, 1)).any():
        return None
    return _flat_rows(
        values["mz_array"],
        values["intensity_array"],
        n_peaks,
        settings.astype(np.float32),
        precursor.astype(np.float32),
    )


def _within(values: Floats, lowest: float) -> bool:
    """Whether all are between `lowest` and the largest number that is fit for the network."""
    return bool(((values >= lowest) & (values <= LARGEST)).all())  # NaN compares false


def raw_rows(frame: pd.DataFrame, stats: SettingsStats | None) -> SpectraRows:
    """Rows as an instrument gives them: peaks in counts, settings by name.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns mz_array (Th), intensity_array (counts), precursor_mz (Th), polarity (positive or
        negative) and any of the settings of `schema.NUMERIC_SETTINGS` and
        `schema.CATEGORICAL_SETTINGS`; one that is absent or empty is missing.
    stats : SettingsStats or None
        Of the model's training table.

    Raises
    ------
    BadInput
        Naming the column and the first bad row, or if the model has no such statistics.
    """
    if stats is None:
        raise BadInput(
            "raw: this model does not know the mean and deviation of its training table's "
            "settings; give rows as in a table (raw=false)"
        )
    require(frame, (*PEAK_COLUMNS, "precursor_mz", POLARITY_COLUMN))
    peaks = []
    for row in range(len(frame)):
        kept = preprocess_ms1(*_peaks(frame, row, MAX_RAW_PEAKS))
        if not len(kept[0]):
            raise bad("intensity_array", row, "no peak above 0", "at least one")
        peaks.append(kept)
    named = [_named_settings(frame, row) for row in range(len(frame))]
    raw = np.array([raw_settings(settings) for settings in named]).reshape(-1, N_SETTINGS)
    return _rows(peaks, normalise(raw, stats), _precursors(frame))


def _rows(
    peaks: list[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    settings: npt.NDArray[np.float32],
    precursor_mz: npt.NDArray[np.float32],
) -> SpectraRows:
    empty = [np.empty(0)]
    mz = np.concatenate([mz for mz, _ in peaks] or empty)
    intensity = np.concatenate([i for _, i in peaks] or empty)
    sizes = np.array([len(mz) for mz, _ in peaks], dtype=np.int64)
    return _flat_rows(mz, intensity, sizes, settings, precursor_mz)


def _flat_rows(
    mz: npt.NDArray[Any],
    intensity: npt.NDArray[Any],
    sizes: npt.NDArray[Any],
    settings: npt.NDArray[np.float32],
    precursor_mz: npt.NDArray[np.float32],
) -> SpectraRows:
    """Unlabelled rows of the peaks of all of them, one after the other."""
    return SpectraRows(
        {
            "mz": mz.astype(np.float32),
            "intensity": intensity.astype(np.float32),
            "sizes": sizes.astype(np.int64),
            "settings": settings,
            "precursor_mz": precursor_mz,
            "s": np.zeros(len(sizes), np.float32),
            "row": np.arange(len(sizes)),
        }
    )


def _peaks(frame: pd.DataFrame, row: int, most: int) -> tuple[Floats, Floats]:
    mz, intensity = (_numbers(frame[name].iloc[row], name, row) for name in PEAK_COLUMNS)
    if len(mz) != len(intensity):
        found = f"{len(intensity)} values beside {len(mz)} in mz_array"
        raise bad("intensity_array", row, found, "equal lengths")
    if not len(mz):
        raise bad("mz_array", row, "no peaks", "at least one")
    if len(mz) > most:
        raise bad("mz_array", row, f"{len(mz)} peaks", f"at most {most}")
    for name, values in zip(PEAK_COLUMNS, (mz, intensity), strict=True):
        _finite(values, name, row)
        if values.min() < 0:
            raise bad(name, row, f"{values.min():g}", "no negative values")
    return mz, intensity


def _precursors(frame: pd.DataFrame) -> npt.NDArray[np.float32]:
    values = [_number(v, "precursor_mz", row) for row, v in enumerate(frame["precursor_mz"])]
    for row, value in enumerate(values):
        if not 0 <= value <= LARGEST:  # NaN, too
            raise bad("precursor_mz", row, f"{value}", "a finite m/z of at least 0")
    return np.array(values, dtype=np.float32)


def _named_settings(frame: pd.DataFrame, row: int) -> dict[str, float | str]:
    polarity = frame[POLARITY_COLUMN].iloc[row]
    if not _one_of(polarity, POLARITIES):
        raise bad(POLARITY_COLUMN, row, f"{polarity!r}", "positive or negative")
    named: dict[str, float | str] = {"Polarity": str(polarity)}
    for name in NUMERIC_SETTINGS:
        value = _cell(frame, name, row)
        if value is not None:
            number = _number(value, name, row)
            if not abs(number) <= LARGEST:
                raise bad(name, row, f"{number}", "a finite number, or nothing")
            named[name] = number
    for name in NAMED_CATEGORIES:
        value = _cell(frame, name, row)
        if value is not None:
            if not _one_of(value, CATEGORICAL_SETTINGS[name]):
                expected = " or ".join(CATEGORICAL_SETTINGS[name])
                raise bad(name, row, f"{value!r}", f"{expected}, or nothing")
            named[name] = str(value)
    return named


def _cell(frame: pd.DataFrame, name: str, row: int) -> Any:
    """A value, or None where there is none."""
    value = frame[name].iloc[row] if name in frame else None
    missing = value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
    return None if missing else value


def _one_of(value: Any, names: tuple[str, ...]) -> bool:
    # comparing an array, or pandas' NA, with a text gives no truth value
    return isinstance(value, str) and value in names


def _number(value: Any, column: str, row: int) -> float:
    return _converted(float, value, column, row, "a number")


def _numbers(value: Any, column: str, row: int) -> Floats:
    """A list, tuple or array of numbers, in double precision."""
    if not isinstance(value, list | tuple | np.ndarray):
        raise bad(column, row, type(value).__name__, "a list of numbers")

    def convert(cell: Any) -> Floats:
        if any(isinstance(item, str | bytes) for item in cell):
            raise ValueError("text")
        return np.asarray(cell, dtype=np.float64)

    array: Floats = _converted(convert, value, column, row, "a list of numbers")
    if array.ndim != 1:
        raise bad(column, row, f"{array.ndim} dimensions", "a flat list of numbers")
    return array


def _converted(
    convert: Callable[[Any], Any], value: Any, column: str, row: int, expected: str
) -> Any:
    try:
        return convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:80]
        raise bad(column, row, reason, expected) from error


def _finite(values: Floats, column: str, row: int) -> None:
    wrong = ~(np.abs(values) <= LARGEST)  # NaN compares false
    if wrong.any():
        at = int(np.argmax(wrong))
        raise bad(column, row, f"{values[at]} at position {at}", "finite values")
