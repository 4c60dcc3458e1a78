"""A network folder as an MLflow model: code, weights, signature, example and public pins."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.models.model import MLMODEL_FILE_NAME, MODEL_CODE_PATH

from priorwise.serving.answering import NETWORK

PACKAGE = Path(__file__).resolve().parents[1]
#: what MLflow runs to load a model, by this name in every model
MODEL_CODE = "model_code.py"
#: public versions that every model needs (an inferred torch would be a local build)
COMMON_PINS = (
    "mlflow==3.17.2",
    "torch==2.13.0",
    "safetensors==0.8.0",
    "pandas==3.1.1",
    "numpy==2.4.6",
)
#: files that travel with every model
COMMON_FILES = (
    "__init__.py",
    "errors.py",
    "learn/__init__.py",
    "learn/network_folder.py",
    "serving/__init__.py",
    "serving/answering.py",
    "serving/frames.py",
    "serving/unreadable_requests.py",
)
Description = Mapping[str, Any]


@dataclass(frozen=True)
class Package:
    """What makes MLflow models of one pipeline's network folders.

    Attributes
    ----------
    code : str
        File of `serving` that sets the model.
    shipped : tuple of str
        Files of the package that travel with a model; tests/serving checks that they are closed.
    read_description : callable of folder -> description
        Of a network folder; refuses one that is not of this pipeline.
    pins : callable of description -> tuple of str
        Public versions; tests compare them with pyproject.toml.
    signature : callable of () -> ModelSignature
    example : callable of description -> pandas.DataFrame
        Rows that the model takes.
    answer : callable of (network folder, rows) -> pandas.DataFrame
        What the bare weights say to such rows.
    """

    code: str
    shipped: tuple[str, ...]
    read_description: Callable[[Path], Description]
    pins: Callable[[Description], tuple[str, ...]]
    signature: Callable[[], ModelSignature]
    example: Callable[[Description], pd.DataFrame]
    answer: Callable[[Path, pd.DataFrame], pd.DataFrame]

    def write(self, network_folder: Path, target: Path, model_id: str, run_id: str) -> None:
        """Write an MLflow model folder.

        Parameters
        ----------
        network_folder : pathlib.Path
            As `network_folder.write_model` leaves it.
        target : pathlib.Path
            New folder.
        model_id, run_id : str
            The logged model this will be, and the run that made it.
        """
        description = self.read_description(network_folder)
        with tempfile.TemporaryDirectory() as scratch:
            shipped = Path(scratch) / PACKAGE.name
            for name in self.shipped:
                (shipped / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(PACKAGE / name, shipped / name)
            network = Path(scratch) / NETWORK
            shutil.copytree(network_folder, network)
            code = shutil.copyfile(PACKAGE / "serving" / self.code, Path(scratch) / MODEL_CODE)
            mlflow.pyfunc.save_model(
                path=str(target),
                python_model=str(code),
                code_paths=[str(shipped)],
                artifacts={NETWORK: str(network)},
                signature=self.signature(),
                input_example=self.example(description),
                pip_requirements=list(self.pins(description)),
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
