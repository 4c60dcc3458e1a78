"""Metrics on their way to the server: handed over at once, delivered in batches by a thread."""

import threading
import time
from collections.abc import Callable, Sequence

from mlflow.entities import Metric, RunTag
from mlflow.tracking import MlflowClient

from priorwise.tracking.outage import first_line, heals

#: MLflow's limits of one request
METRICS_AT_ONCE, TAGS_AT_ONCE = 1000, 100
#: seconds between two deliveries: their number is what costs
PERIOD = 2.0
#: seconds before a delivery that failed is tried again, at first and at most
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
#: a delivery that has not been answered for so many seconds counts as failing
SLOW = 10.0


class Sender:
    """Delivers what it is given, in order; while the server is away, it tries again and again.

    Who hands over never waits. What the server refuses for good is raised at the next `put` or
    `flush`.

    Parameters
    ----------
    client : mlflow.MlflowClient
    run_id : str
    period : float
        Seconds between two deliveries.
    before : callable, optional
        Called before each delivery: what puts the rows on disk.
    """

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        period: float = PERIOD,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        self._client, self._run_id, self._period = client, run_id, period
        self._before = before
        self._metrics: list[Metric] = []
        self._tags: list[RunTag] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._hurry = self._busy = self._stopped = False
        self._asked_at = 0.0
        self._failure: BaseException | None = None
        #: what the last delivery failed with, if it is to be tried again
        self._trouble = ""

    def put(self, metrics: Sequence[Metric], tags: Sequence[RunTag] = ()) -> None:
        """Hand over; returns at once.

        Raises
        ------
        BaseException
            What an earlier delivery was refused with.
        """
        with self._changed:
            self._say_failure()
            self._metrics += metrics
            self._tags += tags
            if self._thread is None and self._waiting:
                self._thread = threading.Thread(
                    target=self._deliver, name=f"sender of {self._run_id}", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Try no longer: what is not delivered now will not be."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Whether all is delivered; waits for it, `timeout` seconds at most.

        Raises
        ------
        BaseException
            What a delivery was refused with.
        """
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._failure or not self._waiting, timeout)
            self._hurry = False
            self._say_failure()
            return not self._waiting

    @property
    def waiting(self) -> int:
        """How many metrics and tags the server has not confirmed."""
        with self._changed:
            return len(self._metrics) + len(self._tags)

    @property
    def trouble(self) -> str:
        """Why nothing can be delivered just now; empty if the server answers."""
        with self._changed:
            waited = time.monotonic() - self._asked_at
            if not self._trouble and self._busy and waited > SLOW:
                return f"no answer for {waited:.0f} s"
            return self._trouble

    @property
    def _waiting(self) -> bool:
        return bool(self._metrics or self._tags)

    def _say_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _deliver(self) -> None:
        sent, pause = 0.0, FIRST_PAUSE
        while True:
            with self._changed:
                due = sent + self._period - time.monotonic()
                self._changed.wait_for(
                    lambda: self._stopped or (self._hurry and self._waiting), max(due, 0)
                )
                metrics, tags = self._metrics[:METRICS_AT_ONCE], self._tags[:TAGS_AT_ONCE]
                if self._stopped or not (metrics or tags):
                    self._thread = None  # the next one to hand over starts another
                    return
                self._busy, self._asked_at = True, time.monotonic()
            sent = time.monotonic()
            try:
                self._before()
                self._client.log_batch(self._run_id, metrics=metrics, tags=tags)
            except BaseException as error:
                with self._changed:
                    self._busy = False
                    if not heals(error):  # raised again where the training hears of it
                        self._failure = error
                        self._changed.notify_all()
                        return
                    self._trouble = first_line(error)
                    self._changed.wait(pause)  # a flush cuts it short
                    pause = min(2 * pause, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            with self._changed:
                # only now: what was not confirmed is sent again, and stores know a row by its
                # key, step, time and value
                del self._metrics[: len(metrics)], self._tags[: len(tags)]
                self._busy, self._trouble = False, ""
                self._changed.notify_all()
