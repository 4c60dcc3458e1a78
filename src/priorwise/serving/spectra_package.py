"""What makes an MLflow model of a spectra network."""

from pathlib import Path

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import DataType
from mlflow.types.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema

from priorwise.serving.package import COMMON_FILES, COMMON_PINS, Description, Package
from priorwise.serving.spectra_frames import NAMED_CATEGORIES, POLARITY_COLUMN, table_rows
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.saved_model import load_saved_model, read_description
from priorwise.spectra.schema import N_SETTINGS, NUMERIC_SETTINGS, POLARITY_NEGATIVE

SHIPPED = (
    *COMMON_FILES,
    "learn/dropout.py",
    "serving/spectra_frames.py",
    "serving/spectra_pyfunc.py",
    "serving/whole_numbers.py",
    "spectra/__init__.py",
    "spectra/encoder.py",
    "spectra/preprocess.py",
    "spectra/probabilities.py",
    "spectra/ragged.py",
    "spectra/rows.py",
    "spectra/saved_model.py",
    "spectra/schema.py",
    "spectra/settings.py",
)
PINS = (*COMMON_PINS, "pyarrow==25.0.1")


def signature() -> ModelSignature:
    """What the model takes and gives, for rows as of a table and for raw ones."""
    doubles = Array(DataType.double)
    named = [ColSpec(DataType.double, name, required=False) for name in NUMERIC_SETTINGS]
    categories = (POLARITY_COLUMN, *NAMED_CATEGORIES)
    named += [ColSpec(DataType.string, name, required=False) for name in categories]
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(doubles, "mz_array"),
                ColSpec(doubles, "intensity_array"),
                ColSpec(DataType.double, "precursor_mz"),
                ColSpec(doubles, "instrument_settings", required=False),
                *named,
            ]
        ),
        outputs=Schema(
            [ColSpec(DataType.double, "probability"), ColSpec(DataType.boolean, "identifiable")]
        ),
        params=ParamSchema(
            [
                ParamSpec("raw", DataType.boolean, False),
                ParamSpec("threshold", DataType.double, None),
            ]
        ),
    )


def example(description: Description) -> pd.DataFrame:
    """Two made-up rows as of a table, of a polarity that the model knows."""
    polarity = description["polarity"]
    modes = [False, True] if polarity == "both" else [polarity == "positive"] * 2
    settings = []
    for positive in modes:
        row = [0.0] * N_SETTINGS
        row[POLARITY_NEGATIVE + positive] = 1.0
        settings.append(row)
    return pd.DataFrame(
        {
            "mz_array": [[120.0808, 195.0877, 304.1543], [180.0634, 301.0354]],
            "intensity_array": [[510.5, 1480.25, 760.0], [905.5, 1210.75]],
            "precursor_mz": [195.0877, 301.0354],
            "instrument_settings": settings,
        }
    )


def answer(network_folder: Path, rows: pd.DataFrame) -> pd.DataFrame:
    """What the bare weights say to rows as of a table."""
    saved = load_saved_model(network_folder)
    probability = probabilities(saved.network, table_rows(rows))
    return pd.DataFrame(
        {"probability": probability, "identifiable": probability >= saved.threshold}
    )


SPECTRA = Package(
    code="spectra_model_code.py",
    shipped=SHIPPED,
    read_description=read_description,
    pins=lambda description: PINS,
    signature=signature,
    example=example,
    answer=answer,
)
