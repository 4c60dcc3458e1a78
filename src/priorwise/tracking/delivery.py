"""The metrics of a training on their way to the server, and what is said if they stay here."""

import math
import os
import shlex
from pathlib import Path

from mlflow.tracking import MlflowClient

from priorwise.errors import BadInput, TrackingFailure
from priorwise.learn.recorder import CsvHistory
from priorwise.tracking.recorder import MlflowRecorder
from priorwise.tracking.replay import missing, places_on_server
from priorwise.tracking.secrets import scrub
from priorwise.tracking.sender import Sender
from priorwise.tracking.spool import SPOOL, Spool

#: metrics that a training has recorded before it is interrupted
OF_TRAINING = frozenset({"train_loss_step", "train_loss"})
#: variable with the seconds for which the end of a training waits for a server that is away
SETTLE_SECONDS, SETTLE_DEFAULT = "PRIORWISE_SETTLE_SECONDS", 120.0


class Delivery:
    """Spool and sender of one run.

    Parameters
    ----------
    client : mlflow.MlflowClient
    run_id : str
    folder : pathlib.Path
        The run's local folder.

    Attributes
    ----------
    spool : Spool

    Raises
    ------
    BadInput
        If the spool that is there already is damaged, or PRIORWISE_SETTLE_SECONDS is no number.
    """

    def __init__(self, client: MlflowClient, run_id: str, folder: Path) -> None:
        self._client, self._run_id = client, run_id
        self._patience = settle_seconds()
        self.spool = Spool(folder / SPOOL, run_id, client.tracking_uri)
        self._gave_up = False
        self._sender = Sender(client, run_id, before=self.spool.sync)

    def recorder(self, history_csv: Path) -> MlflowRecorder:
        """A recorder that goes on where an earlier process stopped.

        What that one left in the spool and the server does not have is delivered, too.
        """
        earlier = self.spool.earlier
        known = {(metric.key, metric.step) for metric in earlier.metrics}
        if known:
            left = missing(self._client, earlier)
            self._sender.put(left.metrics, left.tags)
        recorded = self._client.get_run(self._run_id).data.metrics
        if OF_TRAINING.intersection(recorded):
            known |= places_on_server(self._client, self._run_id, recorded)
        return MlflowRecorder(self._sender, CsvHistory(history_csv), self.spool, known)

    def settle(self, timeout: float | None = None) -> None:
        """Return when the server has all that was recorded.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most; default: what PRIORWISE_SETTLE_SECONDS says, else 120.

        Raises
        ------
        TrackingFailure
            If the server stays away; the line says where the numbers are and how to send them.
        """
        limit = self._patience if timeout is None else timeout
        if self._sender.flush(limit):
            return
        path = self.spool.path.resolve()
        why = self._sender.trouble or "it is slow"
        self._gave_up = True
        raise TrackingFailure(
            f"tracking server {scrub(self._client.tracking_uri)} has not taken the last "
            f"{self._sender.waiting} values of run {self._run_id} within {limit:g} s ({why}); they "
            f"are safe in {path}: once it answers, `mlflow run . -e sync_run -P "
            f"{shlex.quote(f'spool={path}')}` sends them, and the same training with "
            f"resume={self._run_id} finishes the run"
        )

    @property
    def away(self) -> bool:
        """Whether the server did not take what was recorded last."""
        return self._gave_up or bool(self._sender.trouble)

    def close(self) -> None:
        """The run has ended: what the server does not have stays in the spool."""
        self._sender.stop()
        self.spool.close()

    @property
    def way_on(self) -> str:
        """How a training goes on that could not write its end."""
        return (
            f"; checkpoints and metrics are in {self.spool.path.parent.resolve()}: the same "
            f"training with resume={self._run_id} finishes the run"
        )


def settle_seconds() -> float:
    """For how long the end of a training waits for a server that is away.

    Raises
    ------
    BadInput
        If the variable holds no such number.
    """
    text = os.environ.get(SETTLE_SECONDS) or str(SETTLE_DEFAULT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadInput(f"{SETTLE_SECONDS}: expected seconds of at least 0, got {text!r}")
    return seconds
