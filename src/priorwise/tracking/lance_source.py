"""A Lance table as the source of an MLflow dataset; also the plugin that reads it back.

MLflow loads this module while it imports itself, so nothing here may need all of MLflow.
"""

from typing import Any

from mlflow.data.dataset_source import DatasetSource


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
