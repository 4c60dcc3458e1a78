"""What a spool holds and a run does not: found by metric and step, and sent once."""

from collections.abc import Collection
from dataclasses import dataclass

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from priorwise.tracking.sender import METRICS_AT_ONCE, TAGS_AT_ONCE
from priorwise.tracking.spool import Spooled

#: a metric's name and step
Place = tuple[str, int]


@dataclass(frozen=True)
class Missing:
    """What the server does not have.

    Attributes
    ----------
    metrics : list of mlflow.entities.Metric
    tags : list of mlflow.entities.RunTag
    known : int
        Metrics of the spool that the server has already.
    """

    metrics: list[Metric]
    tags: list[RunTag]
    known: int


def places_on_server(client: MlflowClient, run_id: str, names: Collection[str]) -> set[Place]:
    """Which steps of these metrics a run has."""
    return {
        (name, metric.step)
        for name in sorted(names)
        for metric in client.get_metric_history(run_id, name)
    }


def missing(client: MlflowClient, spooled: Spooled) -> Missing:
    """Compare a spool with its run."""
    data = client.get_run(spooled.run_id).data
    names = {metric.key for metric in spooled.metrics}
    places = places_on_server(client, spooled.run_id, names.intersection(data.metrics))
    metrics = [m for m in spooled.metrics if (m.key, m.step) not in places]
    tags = [RunTag(k, v) for k, v in spooled.tags.items() if data.tags.get(k) != v]
    return Missing(metrics, tags, len(spooled.metrics) - len(metrics))


def send(client: MlflowClient, run_id: str, rows: Missing) -> None:
    """Write them to the run, with the times at which they were recorded."""
    metrics, tags = list(rows.metrics), list(rows.tags)
    while metrics or tags:
        client.log_batch(run_id, metrics=metrics[:METRICS_AT_ONCE], tags=tags[:TAGS_AT_ONCE])
        del metrics[:METRICS_AT_ONCE], tags[:TAGS_AT_ONCE]
