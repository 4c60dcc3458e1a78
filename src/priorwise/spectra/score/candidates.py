"""MS2 scans on their way through the network, whatever they were read from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from priorwise.spectra.checks import BadCell, check_rows
from priorwise.spectra.ingest import reasons
from priorwise.spectra.ingest.fragments import ScanCounts, iter_fragments
from priorwise.spectra.ingest.inputs import dataset_id_of
from priorwise.spectra.ingest.scan import Scan
from priorwise.spectra.schema import N_SETTINGS, POLARITIES, POLARITY_NEGATIVE, POLARITY_POSITIVE
from priorwise.spectra.settings import SettingsStats, normalise
from priorwise.spectra.usi import usi
from priorwise.store.tables import ContentDigest, PinnedTable, scan

#: rows of a table read at a time; a row has some kilobytes
_TABLE_ROWS = 256
#: a larger one is a misread one
_LARGEST_CHARGE = 1000
_NO_PEAKS: NDArray[np.float32] = np.empty(0, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An MS2 scan, and what the network needs of it.

    Attributes
    ----------
    file, usi : str
    scan : int
    polarity : str or None
        As the scan states it.
    precursor_mz : float or None
        Th, as stated; may be no sound number.
    reason : str
        One of `reasons.REASONS`; empty if it can be scored.
    mz, intensity : numpy.ndarray of shape (n_peaks,), float32
        Of the MS1, preprocessed.
    settings : numpy.ndarray of shape (22,), float32
        z-scored.
    window : float or None
        Isolation width in Th, where known.
    charge : int
        Of the precursor; 0 = unknown.
    fragments : numpy.ndarray of shape (n, 2), float64, or None
        Finite peaks of the MS2 itself, where asked for.
    """

    file: str
    usi: str
    scan: int
    polarity: str | None
    precursor_mz: float | None
    reason: str
    mz: NDArray[np.float32]
    intensity: NDArray[np.float32]
    settings: NDArray[np.float32]
    window: float | None = None
    charge: int = 0
    fragments: NDArray[np.float64] | None = None


def of_run(
    scans: Iterable[Scan],
    file: str,
    dataset_id: str,
    modes: tuple[str, ...],
    stats: SettingsStats,
    counts: ScanCounts,
    with_fragments: bool = False,
) -> Iterator[Candidate]:
    """Candidates of one run, in file order: ingest's preprocessing, the model's z-scores.

    Parameters
    ----------
    scans : iterable of Scan
    file : str
        Path or address, as the `file` column shall name it.
    dataset_id : str
        For the USI; empty = as ingest chooses it.
    modes : tuple of str
        Polarities that the model knows.
    stats : SettingsStats
        Of the model's training table.
    counts : ScanCounts
        Filled in.
    with_fragments : bool
        Keep the peaks of the MS2 scans.
    """
    dataset = dataset_id or dataset_id_of(file)
    name = PurePath(file).name
    for fragment in iter_fragments(scans, counts):
        stated, survey = fragment.scan, fragment.survey
        usable = survey is not None and not fragment.reason
        yield Candidate(
            file=file,
            usi=usi(dataset, name, stated.scan_number),
            scan=stated.scan_number,
            polarity=stated.polarity,
            precursor_mz=stated.precursor_mz,
            reason=fragment.reason or _other_polarity(stated.polarity, modes),
            mz=survey.mz if usable and survey else _NO_PEAKS,
            intensity=survey.intensity if usable and survey else _NO_PEAKS,
            settings=normalise(fragment.settings()[None, :], stats)[0],
            window=fragment.isolation_width,
            charge=_charge(stated),
            fragments=_fragments(stated) if with_fragments else None,
        )


def _charge(stated: Scan) -> int:
    charge = abs(float(stated.settings.get("Charge State", 0)))
    return int(charge) if charge <= _LARGEST_CHARGE else 0


def _fragments(stated: Scan) -> NDArray[np.float64]:
    """Peaks that are numbers: others break the readers of what is written."""
    n = min(len(stated.mz), len(stated.intensity))
    peaks = np.stack([stated.mz[:n], stated.intensity[:n]], axis=1)
    return peaks[np.isfinite(peaks).all(axis=1)]


def _other_polarity(polarity: str | None, modes: tuple[str, ...]) -> str:
    return "" if polarity in modes else reasons.OTHER_POLARITY


def of_table(
    table: PinnedTable, modes: tuple[str, ...], dataset_id: str, digest: ContentDigest
) -> Iterator[Candidate]:
    """Candidates of a Lance table, in row order; its rows are as the network wants them already.

    A row that `checks.check_rows` would refuse gets a reason, and so does a precursor m/z of 0,
    which the published tables hold where it was unknown.

    Parameters
    ----------
    table : PinnedTable
    modes : tuple of str
        Polarities that the model knows.
    dataset_id : str
        For the USI; empty = that of each row.
    digest : ContentDigest
        Fed with every row.

    Raises
    ------
    BadInput
        If the table cannot be read.
    """
    for batch in scan(table, None, _TABLE_ROWS):
        digest.update(batch)
        checked = _without_label(batch)
        sound = not _fault(checked)
        for index, row in enumerate(_scalars(batch)):
            fault = "" if sound else _fault(checked.slice(index, 1))
            yield _of_row(batch, index, row, fault, modes, dataset_id)


def _of_row(
    batch: pa.RecordBatch,
    index: int,
    row: dict[str, Any],
    fault: str,
    modes: tuple[str, ...],
    dataset_id: str,
) -> Candidate:
    settings = _values(batch, "instrument_settings", index)
    polarity = None
    if len(settings) == N_SETTINGS:
        stated = settings[[POLARITY_POSITIVE, POLARITY_NEGATIVE]] > 0.5
        if stated.sum() == 1:
            polarity = POLARITIES[int(stated[1])]
    precursor = row["precursor_mz"]
    mz, intensity = _values(batch, "mz_array", index), _values(batch, "intensity_array", index)
    reason = _reason(
        fault, precursor, polarity, settings, max(len(mz), len(intensity))
    ) or _other_polarity(polarity, modes)
    source, number = row["source_file"] or "", row["ms2_scan_number"] or 0
    return Candidate(
        file=row["mzml_filepath"] or source,
        usi=usi(dataset_id or row["dataset_id"] or "", source, number),
        scan=number,
        polarity=polarity,
        # the shortest decimal of the float32, not that of its binary value
        precursor_mz=None if precursor is None else float(str(np.float32(precursor))),
        reason=reason,
        mz=_NO_PEAKS if reason else mz,
        intensity=_NO_PEAKS if reason else intensity,
        settings=np.zeros(N_SETTINGS, np.float32) if reason else settings,
    )


def _reason(
    column: str,
    precursor: float | None,
    polarity: str | None,
    settings: NDArray[np.float32],
    n_peaks: int,
) -> str:
    """The reason behind a fault of a column."""
    broken = len(settings) != N_SETTINGS or not np.isfinite(settings).all()
    if broken and precursor is not None:
        return reasons.BAD_SETTINGS
    if early := reasons.of_precursor(precursor, polarity):
        return early
    if column in ("mz_array", "intensity_array"):
        return reasons.DAMAGED_PEAKS if n_peaks else reasons.EMPTY_MS1
    return reasons.BAD_SETTINGS if column else ""


def _fault(batch: pa.RecordBatch) -> str:
    """Column at fault; empty if all rows are sound."""
    try:
        check_rows(batch, "")
    except BadCell as error:
        return error.column
    return ""


def _without_label(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with a label and a data set: whether they have one is no matter here."""
    for name, value in (("label", 0.0), ("dataset_id", "")):
        position = batch.schema.get_field_index(name)
        field = batch.schema.field(position)
        column = pa.array([value] * batch.num_rows, field.type)
        batch = batch.set_column(position, field, column)
    return batch


def _scalars(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    names = ["ms2_scan_number", "precursor_mz", "source_file", "dataset_id", "mzml_filepath"]
    rows: list[dict[str, Any]] = batch.select(names).to_pylist()
    return rows


def _values(batch: pa.RecordBatch, name: str, index: int) -> NDArray[np.float32]:
    cell = batch.column(name)[index]
    if not cell.is_valid:
        return _NO_PEAKS
    return np.asarray(cell.values.to_numpy(zero_copy_only=False), dtype=np.float32)
