"""Rows between the two passes: Arrow files with raw settings, read back as table batches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from priorwise.spectra.ingest.pairs import Pair
from priorwise.spectra.schema import N_SETTINGS, SPECTRA_SCHEMA
from priorwise.spectra.settings import (
    SETTING_NAMES,
    RunningStats,
    SettingsStats,
    missing_settings,
    normalise,
)

#: rows and peaks of one batch: some megabytes at most
_BATCH_ROWS = 512
_BATCH_PEAKS = 1 << 18

#: sidecar `<table>_missing`: one row for each row of the table, one column for each setting
MISSING_SCHEMA = pa.schema([("row", pa.int64()), *((name, pa.bool_()) for name in SETTING_NAMES)])

#: sidecar `<table>_labels`: one row for each labelled row, so that the library can be credited
LABELS_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("accession", pa.string()),
        ("compound_name", pa.string()),
        ("license", pa.string()),
        ("cosine", pa.float32()),
        ("matched_peaks", pa.int32()),
    ]
)

_MATCH_FIELDS = [field for field in LABELS_SCHEMA if field.name not in ("row", "compound_name")]
_RAW = SPECTRA_SCHEMA.get_field_index("instrument_settings")
_SPOOL_SCHEMA = pa.schema(
    [
        *SPECTRA_SCHEMA.set(_RAW, pa.field("instrument_settings", pa.list_(pa.float64()))),
        *_MATCH_FIELDS,
    ]
)


class Spool:
    """The rows of one table on disk, raw settings and all.

    Parameters
    ----------
    path : pathlib.Path
        The file to write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._file, _SPOOL_SCHEMA, options=options)
        self._pairs: list[Pair] = []
        self._origins: list[tuple[str, str, str]] = []
        self._n_peaks = 0
        self.stats = RunningStats()
        self.n_rows = 0
        self.n_labelled = 0
        self.n_missing = np.zeros(len(SETTING_NAMES), dtype=np.int64)

    def add(self, pair: Pair, source_file: str, dataset_id: str, path: str) -> None:
        """Take in the next row."""
        self._pairs.append(pair)
        self._origins.append((source_file, dataset_id, path))
        self._n_peaks += len(pair.mz)
        if len(self._pairs) >= _BATCH_ROWS or self._n_peaks >= _BATCH_PEAKS:
            self._flush()

    def _flush(self) -> None:
        if not self._pairs:
            return
        pairs, matches = self._pairs, [pair.match for pair in self._pairs]
        raw = np.stack([pair.settings for pair in pairs])
        source_file, dataset_id, path = zip(*self._origins, strict=True)
        columns = [
            pa.array([pair.ms1_scan_number for pair in pairs], pa.int32()),
            pa.array([pair.ms2_scan_number for pair in pairs], pa.int32()),
            _lists([pair.mz for pair in pairs]),
            _lists([pair.intensity for pair in pairs]),
            _rows_as_lists(raw),
            pa.array([pair.precursor_mz for pair in pairs], pa.float32()),
            pa.array([float(match is not None) for match in matches], pa.float32()),
            pa.array([match.compound_name if match else "" for match in matches], pa.string()),
            pa.array(source_file, pa.string()),
            pa.array(dataset_id, pa.string()),
            pa.array(path, pa.string()),
            pa.array([match.accession if match else "" for match in matches], pa.string()),
            pa.array([match.license if match else "" for match in matches], pa.string()),
            pa.array([match.cosine if match else None for match in matches], pa.float32()),
            pa.array([match.matched_peaks if match else None for match in matches], pa.int32()),
        ]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SPOOL_SCHEMA))
        self.stats.update(raw)
        self.n_missing += missing_settings(raw).sum(axis=0)
        self.n_rows += len(pairs)
        self.n_labelled += sum(match is not None for match in matches)
        self._pairs, self._origins, self._n_peaks = [], [], 0

    def finish(self) -> None:
        """Write out the last rows and close the file."""
        self._flush()
        self.close()

    def close(self) -> None:
        """Close the file, finished or not."""
        if not self._file.closed:
            self._writer.close()
            self._file.close()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        # not memory-mapped: mapped pages would count as memory of the process
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as reader:
            yield from reader

    def table(self, schema: pa.Schema, stats: SettingsStats) -> Iterator[pa.RecordBatch]:
        """Batches of the spectra table, settings z-scored.

        Parameters
        ----------
        schema : pyarrow.Schema
            `SPECTRA_SCHEMA`, with or without metadata.
        stats : SettingsStats
            Of the training rows.
        """
        for batch in self._batches():
            columns = batch.columns[: len(schema)]
            columns[_RAW] = _rows_as_lists(normalise(_raw_of(batch), stats))
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    def missing(self) -> Iterator[pa.RecordBatch]:
        """Batches of the `_missing` sidecar."""
        first = 0
        for batch in self._batches():
            flags = missing_settings(_raw_of(batch))
            rows = np.arange(first, first + len(flags), dtype=np.int64)
            first += len(flags)
            columns = [pa.array(rows), *(pa.array(column) for column in flags.T)]
            yield pa.RecordBatch.from_arrays(columns, schema=MISSING_SCHEMA)

    def labels(self) -> Iterator[pa.RecordBatch]:
        """Batches of the `_labels` sidecar."""
        first = 0
        for batch in self._batches():
            hits = np.flatnonzero(batch.column("label").to_numpy() == 1)
            chosen = batch.take(pa.array(hits))
            columns = [pa.array(hits + first, pa.int64())]
            columns += [chosen.column(name) for name in LABELS_SCHEMA.names[1:]]
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays(columns, schema=LABELS_SCHEMA)


def _raw_of(batch: pa.RecordBatch) -> NDArray[np.float64]:
    values = batch.column(_RAW).flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64).reshape(-1, N_SETTINGS)


def _lists(arrays: list[NDArray[np.float32]]) -> pa.ListArray:
    offsets = np.zeros(len(arrays) + 1, dtype=np.int32)
    np.cumsum([len(values) for values in arrays], out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(arrays)))


def _rows_as_lists(matrix: NDArray[np.float64] | NDArray[np.float32]) -> pa.ListArray:
    offsets = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.ravel()))
