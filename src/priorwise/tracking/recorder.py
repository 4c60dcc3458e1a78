"""Metrics of a training: to the local files first, then on their way to the server."""

import math
import time
from collections.abc import Collection, Mapping

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from priorwise.learn.recorder import CsvHistory
from priorwise.tracking.replay import Place
from priorwise.tracking.sender import Sender
from priorwise.tracking.spool import Spool


class MlflowRecorder:
    """Recorder of a run that this process owns.

    Parameters
    ----------
    sender : Sender
    history : CsvHistory
        Written and flushed before the server hears of an epoch.
    spool : Spool
        Gets every row, with the time at which it was recorded, before the server does.
    known : collection of (str, int)
        Metrics and steps that are recorded already: a resumed training takes some of them again.
    """

    def __init__(
        self, sender: Sender, history: CsvHistory, spool: Spool, known: Collection[Place] = ()
    ) -> None:
        self._sender, self._history, self._spool = sender, history, spool
        self._known = set(known)

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Record one epoch; it is on disk when this returns."""
        self._history.epoch(metrics, step)
        self._record(metrics, step, at_once=True)

    def step(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics within an epoch; they are on disk before they are sent."""
        self._record(metrics, step)

    def _record(self, metrics: Mapping[str, float], step: int, at_once: bool = False) -> None:
        rows, tags = rows_of(metrics, step)
        new = [row for row in rows if (row.key, step) not in self._known]
        self._known.update((row.key, step) for row in new)
        self._spool.write(new, tags)
        if at_once:
            self._spool.sync()
        self._sender.put(new, tags)


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
