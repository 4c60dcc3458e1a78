"""Metrics of a training: to the local CSV first, then on their way to the server."""

import math
import time
from collections.abc import Mapping

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from priorwise.learn.recorder import CsvHistory
from priorwise.tracking.sender import Sender


class MlflowRecorder:
    """Recorder of a run that this process owns.

    Parameters
    ----------
    sender : Sender
    history : CsvHistory
        Written and flushed before the server hears of an epoch.
    known_step : int
        Steps up to this one are recorded already: a resumed training takes some of them again.
    """

    def __init__(self, sender: Sender, history: CsvHistory, known_step: int = -1) -> None:
        self._sender, self._history, self._known_step = sender, history, known_step

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one epoch."""
        self._history.epoch(metrics, step)
        self._sender.put(*rows_of(metrics, step))

    def step(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics within an epoch."""
        if step > self._known_step:
            self._sender.put(*rows_of(metrics, step))


def rows_of(
    metrics: Mapping[str, float], step: int, **bound_to: str
) -> tuple[list[Metric], list[RunTag]]:
    """Metrics as MLflow takes them; those that are not finite become tags.

    MLflow would store an infinity as 1.797e308, a number that looks fit for use.
    """
    now = int(time.time() * 1000)
    finite = {name: float(v) for name, v in metrics.items() if math.isfinite(v)}
    rows = [Metric(name, value, now, step, **bound_to) for name, value in finite.items()]
    others = sorted(set(metrics) - set(finite))
    return rows, [RunTag(f"nonfinite.{name}", f"{metrics[name]} at step {step}") for name in others]


def send_metrics(
    client: MlflowClient,
    run_id: str,
    metrics: Mapping[str, float],
    step: int = 0,
    **bound_to: str,
) -> None:
    """Write metrics in one synchronous batch; those that are not finite become tags.

    `bound_to` (model_id, dataset_name, dataset_digest) makes them metrics of a logged model, too.
    """
    rows, tags = rows_of(metrics, step, **bound_to)
    if rows or tags:
        client.log_batch(run_id, metrics=rows, tags=tags)
