"""A network folder as an MLflow model: code, weights, signature, example and public pins."""

import shutil
import tempfile
from pathlib import Path

import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME, MODEL_CODE_PATH
from mlflow.types import DataType
from mlflow.types.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema

from priorwise.serving.frames import NAMED_CATEGORIES, POLARITY_COLUMN
from priorwise.serving.spectra_pyfunc import NETWORK
from priorwise.spectra.saved_model import read_description
from priorwise.spectra.schema import N_SETTINGS, NUMERIC_SETTINGS, POLARITY_NEGATIVE

PACKAGE = Path(__file__).resolve().parents[1]
#: the part of the package that travels with a model; tests/serving checks that it is closed
SHIPPED = (
    "__init__.py",
    "errors.py",
    "learn/__init__.py",
    "learn/dropout.py",
    "learn/network_folder.py",
    "serving/__init__.py",
    "serving/frames.py",
    "serving/spectra_pyfunc.py",
    "serving/unreadable_requests.py",
    "serving/whole_numbers.py",
    "spectra/__init__.py",
    "spectra/encoder.py",
    "spectra/preprocess.py",
    "spectra/probabilities.py",
    "spectra/rows.py",
    "spectra/saved_model.py",
    "spectra/schema.py",
    "spectra/settings.py",
)
#: public versions (an inferred torch would be a local build); tests compare with pyproject.toml
PINS = (
    "mlflow==3.17.2",
    "torch==2.13.0",
    "safetensors==0.8.0",
    "pyarrow==25.0.1",
    "pandas==3.1.1",
    "numpy==2.4.6",
)


def write_pyfunc(network_folder: Path, target: Path, model_id: str, run_id: str) -> None:
    """Write an MLflow model folder.

    Parameters
    ----------
    network_folder : pathlib.Path
        As `saved_model.write_model` leaves it.
    target : pathlib.Path
        New folder.
    model_id, run_id : str
        The logged model this will be, and the run that made it.
    """
    with tempfile.TemporaryDirectory() as scratch:
        shipped = Path(scratch) / PACKAGE.name
        for name in SHIPPED:
            (shipped / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PACKAGE / name, shipped / name)
        network = Path(scratch) / NETWORK
        shutil.copytree(network_folder, network)
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(PACKAGE / "serving" / "model_code.py"),
            code_paths=[str(shipped)],
            artifacts={NETWORK: str(network)},
            signature=signature(),
            input_example=example(read_description(network_folder)["polarity"]),
            pip_requirements=list(PINS),
            mlflow_model=Model(
                artifact_path=model_id, run_id=run_id, model_uuid=model_id, model_id=model_id
            ),
        )
    for cache in target.rglob("__pycache__"):
        shutil.rmtree(cache)
    _forget_this_machine(target)


def _forget_this_machine(model: Path) -> None:
    """Where the code and the weights lay when the model was written concerns nobody.

    MLflow notes both as absolute paths, with the user's name in them, and reads neither: it takes
    the file's name, and the path inside the model.
    """
    described = Model.load(str(model))
    flavor = described.flavors[mlflow.pyfunc.FLAVOR_NAME]
    flavor[MODEL_CODE_PATH] = Path(flavor[MODEL_CODE_PATH]).name
    for artifact in flavor["artifacts"].values():
        artifact["uri"] = artifact["path"]
    described.save(str(model / MLMODEL_FILE_NAME))


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


def example(polarity: str) -> pd.DataFrame:
    """Two made-up rows as of a table, of a polarity that the model knows."""
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
