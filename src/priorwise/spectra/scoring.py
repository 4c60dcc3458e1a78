"""Probabilities for the rows of a table, in table order."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.rows import SpectraRows
from priorwise.spectra.usi import usi
from priorwise.store.tables import PinnedTable, scan

METADATA = ("dataset_id", "source_file", "mzml_filepath", "ms2_scan_number")


def score_rows(network: SpectrumClassifier, rows: SpectraRows) -> npt.NDArray[np.float64]:
    """Probabilities of the rows, in their order, with a progress bar (see `probabilities`)."""
    with tqdm(
        total=len(rows), desc="scoring", unit="row", mininterval=1, leave=False, disable=None
    ) as bar:
        return probabilities(network, rows, bar.update)


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
    known = known.reset_index(drop=True).fillna({"dataset_id": "", "source_file": ""})
    joined = scores.reset_index(drop=True)
    names = zip(known["dataset_id"], known["source_file"], known["ms2_scan_number"], strict=True)
    joined["usi"] = [usi(*name) for name in names]
    joined["mzml_filepath"] = known["mzml_filepath"]
    joined["scan_number"] = known["ms2_scan_number"]
    return joined
