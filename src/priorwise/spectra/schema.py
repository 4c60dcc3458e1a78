"""The spectra table: its columns, the 22 instrument settings, and what a sound row looks like.

The layout is that of the published data (doi 10.5281/zenodo.18266932), so those tables load
unchanged. A row is one MS2 scan; its peaks are those of the MS1 survey scan *before* it.
"""

import numpy as np
import pyarrow as pa

SCHEMA_NAME = "spectra/1"

SPECTRA_SCHEMA = pa.schema(
    [
        ("ms1_scan_number", pa.int32()),
        ("ms2_scan_number", pa.int32()),
        ("mz_array", pa.list_(pa.float32())),  # Th, ascending
        ("intensity_array", pa.list_(pa.float32())),  # square root of counts
        ("instrument_settings", pa.list_(pa.float32())),  # 22 values, see below
        ("precursor_mz", pa.float32()),  # Th
        ("label", pa.float32()),  # s: 1 labelled, 0 unlabelled
        ("compound_name", pa.string()),
        ("source_file", pa.string()),
        ("dataset_id", pa.string()),
        ("mzml_filepath", pa.string()),
    ]
)

#: z-scored settings, in table order (indices 0-13)
NUMERIC_SETTINGS = (
    "MS2 Isolation Width",
    "Charge State",
    "Ion Injection Time (ms)",
    "Conversion Parameter C",
    "Energy1",
    "Orbitrap Resolution",
    "AGC Target",
    "HCD Energy(1)",
    "HCD Energy(2)",
    "HCD Energy(3)",
    "HCD Energy(4)",
    "HCD Energy(5)",
    "LM m/z-Correction (ppm)",
    "Micro Scan Count",
)

#: one-hot pairs (indices 14-21): setting -> (value at the even index, value at the odd index)
CATEGORICAL_SETTINGS = {
    "Polarity": ("negative", "positive"),
    "Ionization": ("NSI", "ESI"),
    "Mild Trapping Mode": ("Off", "On"),
    "Activation1": ("other", "HCD"),
}

N_SETTINGS = len(NUMERIC_SETTINGS) + 2 * len(CATEGORICAL_SETTINGS)
POLARITY_NEGATIVE, POLARITY_POSITIVE = 14, 15
POLARITIES = ("positive", "negative")
#: beyond this, float32 sinusoids overflow and answers are NaN; no instrument comes near it
LARGEST = 1e15


def polarity_of(settings: np.ndarray) -> np.ndarray:
    """Polarity of each row from its settings.

    Parameters
    ----------
    settings : numpy.ndarray of shape (n_rows, 22)

    Returns
    -------
    numpy.ndarray of shape (n_rows,), bool
        True for positive mode. The published rule: settings[15] > 0.5.
    """
    return settings[:, POLARITY_POSITIVE] > 0.5
