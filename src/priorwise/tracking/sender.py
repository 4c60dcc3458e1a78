"""Metrics on their way to the server: handed over at once, delivered in batches by a thread."""

import threading
import time
from collections.abc import Sequence

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

#: MLflow's limits of one request
METRICS_AT_ONCE, TAGS_AT_ONCE = 1000, 100
#: seconds between two deliveries: their number is what costs
PERIOD = 2.0


class Sender:
    """Delivers what it is given, in order, and says when it could not.

    Parameters
    ----------
    client : mlflow.MlflowClient
    run_id : str
    period : float
        Seconds between two deliveries.
    """

    def __init__(self, client: MlflowClient, run_id: str, period: float = PERIOD) -> None:
        self._client, self._run_id, self._period = client, run_id, period
        self._metrics: list[Metric] = []
        self._tags: list[RunTag] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = self._busy = False
        self._failure: BaseException | None = None

    def put(self, metrics: Sequence[Metric], tags: Sequence[RunTag] = ()) -> None:
        """Hand over; returns at once.

        Raises
        ------
        BaseException
            What an earlier delivery failed with.
        """
        with self._changed:
            self._say_failure()
            self._metrics += metrics
            self._tags += tags
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._deliver, name=f"sender of {self._run_id}", daemon=True
                )
                self._thread.start()

    def flush(self, timeout: float | None = None) -> None:
        """Return when all is delivered, or after `timeout` seconds.

        Raises
        ------
        BaseException
            What a delivery failed with.
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._failure or not self._waiting, timeout)
            self._hurry = False
            self._say_failure()

    @property
    def _waiting(self) -> bool:
        return bool(self._metrics or self._tags or self._busy)

    def _say_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _deliver(self) -> None:
        sent = 0.0
        while True:
            with self._changed:
                due = sent + self._period - time.monotonic()
                self._changed.wait_for(lambda: self._hurry and self._waiting, max(due, 0))
                metrics, tags = self._metrics[:METRICS_AT_ONCE], self._tags[:TAGS_AT_ONCE]
                del self._metrics[: len(metrics)], self._tags[: len(tags)]
                if not (metrics or tags):
                    self._thread = None  # the next one to hand over starts another
                    return
                self._busy = True
            sent = time.monotonic()
            try:
                self._client.log_batch(self._run_id, metrics=metrics, tags=tags)
            except BaseException as error:  # raised again where the training hears of it
                with self._changed:
                    self._failure, self._busy = error, False
                    self._changed.notify_all()
                return
            with self._changed:
                self._busy = False
                self._changed.notify_all()
