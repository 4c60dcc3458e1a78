"""Probabilities for the rows of a table, in table order."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.rows import SpectraRows
from priorwise.store.tables import PinnedTable, scan

BATCH_ROWS = 512
METADATA = ("dataset_id", "source_file", "mzml_filepath", "ms2_scan_number")


def score_rows(network: SpectrumClassifier, rows: SpectraRows) -> npt.NDArray[np.float64]:
    """P(s=1 | x), or P(y=1 | x) for an nnPU network, of each row.

    Rows are batched by length, so little is spent on padding; the answer of a row does not
    depend on its batch.

    Returns
    -------
    numpy.ndarray of shape (n_rows,)
        In the order of `rows`.
    """
    probability = np.empty(len(rows))
    order = np.argsort(rows.lengths, kind="stable")
    with torch.inference_mode():
        for part in _batches(order):
            batch = rows.__getitems__(part.tolist())
            logits = network(batch.mz, batch.intensity, batch.settings, batch.precursor_mz)
            probability[part] = torch.sigmoid(logits.double()).numpy()
    return probability


def _batches(order: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    bar = tqdm(
        total=len(order), desc="scoring", unit="row", mininterval=1, leave=False, disable=None
    )
    with bar:
        for first in range(0, len(order), BATCH_ROWS):
            part = order[first : first + BATCH_ROWS]
            yield part
            bar.update(len(part))


def predictions(network: SpectrumClassifier, rows: SpectraRows) -> pd.DataFrame:
    """Scores as a table with the columns of the published prediction script.

    Returns
    -------
    pandas.DataFrame
        original_index (row in the Lance table), probability, label (s), precursor_mz.
    """
    return pd.DataFrame(
        {
            "original_index": rows.row.numpy(),
            "probability": score_rows(network, rows),
            "label": rows.s.numpy().astype(int),
            "precursor_mz": rows.precursor_mz.numpy(),
        }
    )


def dataset_of_rows(table: PinnedTable, scores: pd.DataFrame) -> pd.Series:
    """dataset_id of each scored row, in the order of `scores`."""
    parts = [batch.to_pandas() for batch in scan(table, ("dataset_id",))]
    names = pd.concat(parts, ignore_index=True)["dataset_id"]
    return names.iloc[scores["original_index"]].reset_index(drop=True)


def add_metadata(table: PinnedTable, scores: pd.DataFrame) -> pd.DataFrame:
    """Join usi, mzml_filepath and scan_number onto predictions.

    The USI (universal spectrum identifier) is mzspec:<dataset>:<file>:scan:<n>.
    """
    parts = [batch.to_pandas() for batch in scan(table, METADATA)]
    known = pd.concat(parts, ignore_index=True).iloc[scores["original_index"]]
    known = known.reset_index(drop=True)
    stem = known["source_file"].str.replace(r"(?i)\.(mzml|mzxml|raw)(\.gz)?$", "", regex=True)
    joined = scores.reset_index(drop=True)
    number = known["ms2_scan_number"].astype(str)
    joined["usi"] = "mzspec:" + known["dataset_id"] + ":" + stem + ":scan:" + number
    joined["mzml_filepath"] = known["mzml_filepath"]
    joined["scan_number"] = known["ms2_scan_number"]
    return joined
