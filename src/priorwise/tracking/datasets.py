"""Lance tables as MLflow dataset inputs: uri, pinned version, content digest."""

import json
from collections.abc import Mapping

import mlflow  # noqa: F401  (first: it loads the plugin in lance_source while importing itself)
from mlflow.data.dataset_source_registry import register_dataset_source
from mlflow.entities import Dataset, DatasetInput, InputTag

from priorwise.tracking.lance_source import LanceDatasetSource
from priorwise.tracking.secrets import scrub

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
    source = LanceDatasetSource(scrub(uri), version)
    dataset = Dataset(
        name=name,
        digest=digest,
        source_type="lance",
        source=json.dumps(source.to_dict()),
        profile=json.dumps(dict(profile)),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context)])
