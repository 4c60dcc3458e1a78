"""Epoch metrics: to the local CSV first, then to the server in one batch."""

import math
import time
from collections.abc import Mapping

from mlflow.entities import Metric
from mlflow.tracking import MlflowClient

from priorwise.learn.recorder import CsvHistory


class MlflowRecorder:
    """Recorder of a run that this process owns.

    Parameters
    ----------
    client : mlflow.MlflowClient
    run_id : str
    history : CsvHistory
        Written and flushed before the server hears of an epoch.
    """

    def __init__(self, client: MlflowClient, run_id: str, history: CsvHistory) -> None:
        self._client = client
        self._run_id = run_id
        self._history = history

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one epoch."""
        self._history.epoch(metrics, step)
        send_metrics(self._client, self._run_id, metrics, step)


def send_metrics(
    client: MlflowClient,
    run_id: str,
    metrics: Mapping[str, float],
    step: int = 0,
    **bound_to: str,
) -> None:
    """Write metrics in one synchronous batch; those that are not finite become a tag.

    MLflow would store an infinity as 1.797e308, a number that looks fit for use. `bound_to`
    (model_id, dataset_name, dataset_digest) makes them metrics of a logged model, too.
    """
    now = int(time.time() * 1000)
    finite = {name: float(v) for name, v in metrics.items() if math.isfinite(v)}
    rows = [Metric(name, value, now, step, **bound_to) for name, value in finite.items()]
    if rows:
        client.log_batch(run_id, metrics=rows)
    for name in sorted(set(metrics) - set(finite)):
        client.set_tag(run_id, f"nonfinite.{name}", f"{metrics[name]} at step {step}")
