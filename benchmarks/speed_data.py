"""Spectra for the speed benchmark: random, of realistic sizes.

Peaks of an MS1 scan: log-normal around 220, 8 to 400 (a fifth of the scans have all 400). Each MS1
scan has seven MS2 scans, and the table repeats its peaks in the row of each, as published.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.store.tables import write_table

MS2_PER_MS1 = 7
MEDIAN_PEAKS, SPREAD, FEWEST, MOST = 220, 0.7, 8, 400
#: labelled share, and share of positive mode
LABELLED, POSITIVE = 0.2, 0.5


def peak_counts(rng: np.random.Generator, n: int) -> np.ndarray:
    """Peaks of n spectra."""
    drawn = rng.lognormal(np.log(MEDIAN_PEAKS), SPREAD, n)
    return np.clip(drawn, FEWEST, MOST).astype(np.int64)


def write(uri: Path, n_rows: int, seed: int) -> None:
    """Write a table of the published form, unless it is there."""
    if not uri.exists():
        write_table(str(uri), SPECTRA_SCHEMA, batches(n_rows, seed), rows_per_file=50_000)


def batches(n_rows: int, seed: int, size: int = 4096) -> Iterator[pa.RecordBatch]:
    """The rows of a table."""
    rng = np.random.default_rng(seed)
    for first in range(0, n_rows, size):
        n = min(size, n_rows - first)
        scan = np.arange(n) // MS2_PER_MS1
        of_scan = peak_counts(rng, int(scan[-1]) + 1)
        starts = np.cumsum(of_scan) - of_scan
        mz = np.concatenate([np.sort(rng.uniform(70, 1050, k)) for k in of_scan]).astype(np.float32)
        intensity = rng.lognormal(3, 0.8, len(mz)).astype(np.float32)
        sizes = of_scan[scan]
        ends = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        peak = np.arange(ends[-1]) + np.repeat(starts[scan] - ends[:-1], sizes)
        settings = rng.normal(size=(n, 22)).astype(np.float32)
        settings[:, 14:] = 0
        mode = rng.random(n) < POSITIVE
        settings[np.arange(n), 14 + mode] = 1
        settings[:, [17, 19, 21]] = 1
        names = {
            "compound_name": [f"compound {k % 90}" for k in range(n)],
            "source_file": [f"run_{first // 20_000:03d}"] * n,
            "dataset_id": ["MSV000000001"] * n,
            "mzml_filepath": [f"MSV000000001/run_{first // 20_000:03d}.mzML"] * n,
        }
        yield pa.RecordBatch.from_arrays(
            [
                pa.array((first + scan * (MS2_PER_MS1 + 1)).astype(np.int32)),
                pa.array((first + np.arange(n)).astype(np.int32)),
                pa.ListArray.from_arrays(ends, mz[peak]),
                pa.ListArray.from_arrays(ends, intensity[peak]),
                pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * 22, settings.ravel()),
                pa.array(rng.uniform(100, 900, n).astype(np.float32)),
                pa.array((rng.random(n) < LABELLED).astype(np.float32)),
                *[pa.array(values, pa.string()) for values in names.values()],
            ],
            schema=SPECTRA_SCHEMA,
        )
