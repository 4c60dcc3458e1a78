"""Simulated rows as Arrow batches: the spectra table, its truth, and the rates it realised."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from priorwise.spectra.schema import POLARITIES, SPECTRA_SCHEMA
from priorwise.spectra.simulated.rows import SimulatedRows
from priorwise.store.tables import ContentDigest, write_table

TRUTH_SCHEMA = pa.schema(
    [
        ("table", pa.string()),  # a key of TABLES
        ("row", pa.int32()),  # position in that table
        ("y", pa.float32()),  # true class, 0 or 1
        ("bayes_score", pa.float64()),  # P(y=1 | row)
    ]
)
BATCH_ROWS = 2048


def write_rows(uri: str, rows: SimulatedRows) -> str:
    """Write the rows, without their truth, as a table of the spectra contract.

    Returns
    -------
    str
        Digest of the table's content.
    """
    digest = ContentDigest(SPECTRA_SCHEMA)

    def seen() -> Iterator[pa.RecordBatch]:
        for batch in _batches(rows):
            digest.update(batch)
            yield batch

    write_table(uri, SPECTRA_SCHEMA, seen())
    return digest.hexdigest()


def _batches(rows: SimulatedRows) -> Iterator[pa.RecordBatch]:
    runs, spectra = rows.runs, rows.spectra
    ids = np.array([dataset_id for dataset_id, _ in runs.source_files], dtype=object)
    names = np.array([name for _, name in runs.source_files], dtype=object)
    paths = np.array([f"simulated/{d}/{n}" for d, n in runs.source_files], dtype=object)
    for start in range(0, rows.y.size, BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        file, scans = runs.file[part], runs.scan[part]
        sizes = np.diff(spectra.first)[scans]
        ends = np.cumsum(sizes)
        offsets = np.concatenate([[0], ends]).astype(np.int32)
        peak = np.arange(ends[-1]) + np.repeat(spectra.first[scans] - offsets[:-1], sizes)
        settings = rows.settings[part]
        compound = [
            f"simulated-{k:03d}" if s else ""
            for k, s in zip(rows.compound[part], rows.s[part], strict=True)
        ]
        settings_ends = np.arange(settings.shape[0] + 1, dtype=np.int32) * settings.shape[1]
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(runs.ms1_scan_number[part].astype(np.int32)),
                pa.array(runs.ms2_scan_number[part].astype(np.int32)),
                pa.ListArray.from_arrays(offsets, spectra.mz[peak]),
                pa.ListArray.from_arrays(offsets, spectra.intensity[peak]),
                pa.ListArray.from_arrays(settings_ends, settings.ravel()),
                pa.array(rows.precursor_mz[part]),
                pa.array(rows.s[part].astype(np.float32)),
                pa.array(compound, pa.string()),
                pa.array(names[file], pa.string()),
                pa.array(ids[file], pa.string()),
                pa.array(paths[file], pa.string()),
            ],
            schema=SPECTRA_SCHEMA,
        )


def truth_batches(name: str, rows: SimulatedRows) -> Iterator[pa.RecordBatch]:
    """Yield classes and scores of the rows of the table called `name`, as `TRUTH_SCHEMA`."""
    for start in range(0, rows.y.size, BATCH_ROWS):
        part = slice(start, min(start + BATCH_ROWS, rows.y.size))
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([name] * (part.stop - start), pa.string()),
                pa.array(np.arange(start, part.stop, dtype=np.int32)),
                pa.array(rows.y[part].astype(np.float32)),
                pa.array(rows.bayes_score[part]),
            ],
            schema=TRUTH_SCHEMA,
        )


def realised_rates(rows: SimulatedRows) -> dict[str, Any]:
    """Count rows, positives and labels of each polarity, and the shares they make."""
    found: dict[str, Any] = {}
    for polarity in POLARITIES:
        here = rows.positive == (polarity == "positive")
        n, n_y, n_s = int(here.sum()), int(rows.y[here].sum()), int(rows.s[here].sum())
        found[polarity] = {
            "rows": n,
            "n_positive": n_y,
            "n_labelled": n_s,
            "pi": n_y / n,
            "s": n_s / n,
            "c": n_s / n_y if n_y else None,
        }
    return found
