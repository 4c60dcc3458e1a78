"""Lance tables as MLflow dataset inputs: uri, pinned version, content digest."""

import json
from collections.abc import Mapping
from typing import Any

from mlflow.data.dataset_source import DatasetSource
from mlflow.data.dataset_source_registry import register_dataset_source
from mlflow.entities import Dataset, DatasetInput, InputTag


class LanceDatasetSource(DatasetSource):
    """Where a table lies and which version of it was read.

    Parameters
    ----------
    uri : str
        Path or object-store address of the table.
    version : int
        The pinned Lance version.
    """

    def __init__(self, uri: str, version: int) -> None:
        self.uri = uri
        self.version = version

    @staticmethod
    def _get_source_type() -> str:
        return "lance"

    def load(self, **_: Any) -> str:
        """Return the table's address; read it with `lance.dataset(uri, version=version)`."""
        return self.uri

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return False

    @classmethod
    def _resolve(cls, raw_source: Any) -> "LanceDatasetSource":
        raise NotImplementedError(f"a Lance source is named explicitly, not guessed: {raw_source}")

    def to_dict(self) -> dict[str, Any]:
        """Serialisable form."""
        return {"uri": self.uri, "version": self.version}

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> "LanceDatasetSource":
        """Rebuild from `to_dict`."""
        return cls(source_dict["uri"], int(source_dict["version"]))


# the project also runs from a bare PYTHONPATH, where no plugin entry point is installed
register_dataset_source(LanceDatasetSource)  # type: ignore[arg-type]


def lance_input(
    name: str, context: str, uri: str, version: int, digest: str, profile: Mapping[str, int]
) -> DatasetInput:
    """A dataset input for `MlflowClient.log_inputs`.

    Parameters
    ----------
    name : str
        Table name as shown in the UI.
    context : str
        Role in the run: training, validation, test_1, ...
    uri, version, digest
        The pinned table.
    profile : mapping
        Row counts.
    """
    source = LanceDatasetSource(uri, version)
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type="lance",
        source=json.dumps(source.to_dict()),
        profile=json.dumps(dict(profile)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
