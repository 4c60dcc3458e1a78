"""What runs and logged models have on record of the tables they saw."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class RecordedTable:
    """A dataset input of a run: which table, which version, which content."""

    uri: str
    version: int
    digest: str


@dataclass(frozen=True)
class BoundMetrics:
    """Metrics that one run wrote of one logged model on one table.

    Attributes
    ----------
    when : int
        Milliseconds since the epoch, of the newest of them.
    """

    run_id: str
    dataset: str
    digest: str
    when: int
    metrics: Mapping[str, float]


def dataset_inputs(client: MlflowClient, run_id: str) -> dict[str, RecordedTable]:
    """Dataset inputs of a run by their role (training, validation, test_3, ...)."""
    try:
        inputs = client.get_run(run_id).inputs
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return {}
        raise
    found = {}
    for item in inputs.dataset_inputs if inputs else ():
        roles = [tag.value for tag in item.tags if tag.key == "mlflow.data.context"]
        try:
            source = json.loads(item.dataset.source)
            uri, version = str(source["uri"]), int(source["version"])
        except (ValueError, KeyError, TypeError):
            uri, version = "", 0  # not written by this project
        for role in roles:
            found[role] = RecordedTable(uri, version, item.dataset.digest)
    return found


def bound_metrics(client: MlflowClient, model_id: str) -> list[BoundMetrics]:
    """What was measured of a logged model, by run and table, newest first.

    Metrics that are bound to no table are left out: MLflow lets every model of a run inherit them.
    """
    groups: dict[tuple[str, str, str], dict[str, tuple[int, float]]] = {}
    for metric in client.get_logged_model(model_id).metrics or []:
        if not metric.dataset_digest or metric.model_id not in (None, model_id):
            continue
        key = (metric.run_id or "", metric.dataset_name or "", metric.dataset_digest)
        values = groups.setdefault(key, {})
        if metric.key not in values or metric.timestamp >= values[metric.key][0]:
            values[metric.key] = (int(metric.timestamp), float(metric.value))
    found = [
        BoundMetrics(
            run_id,
            dataset,
            digest,
            max(when for when, _ in values.values()),
            {name: value for name, (_, value) in values.items()},
        )
        for (run_id, dataset, digest), values in groups.items()
    ]
    return sorted(found, key=lambda bound: (-bound.when, bound.run_id))
