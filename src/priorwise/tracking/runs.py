"""A run's life: attach or open, the tags and params of the contract, and how it ends."""

import json
import os
import re
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from mlflow.entities import DatasetInput, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient

from priorwise.errors import Interrupted, PriorwiseError, TrackingFailure
from priorwise.tracking.delivery import Delivery
from priorwise.tracking.fingerprint import git_dirty, source_digest
from priorwise.tracking.heartbeat import TAG as HEARTBEAT
from priorwise.tracking.heartbeat import Heart, Heartbeat
from priorwise.tracking.models import Models, log_model
from priorwise.tracking.orphans import OpenRun, close, open_runs
from priorwise.tracking.outage import first_line, of_the_store, within
from priorwise.tracking.ownership import check_unowned, lock_of, taken
from priorwise.tracking.recorder import MlflowRecorder, send_metrics
from priorwise.tracking.search import History
from priorwise.tracking.secrets import scrub
from priorwise.tracking.store import (
    chosen_store,
    reachable_client,
    relative_store,
    started_elsewhere,
)
from priorwise.tracking.view import share_view

#: a name MLflow made up itself ("gifted-ant-123"), as opposed to one a user chose
RANDOM_NAME = re.compile(r"^[a-z]+-[a-z]+-\d+$")
PARAM_CHARS = 6000
#: seconds for what is still on its way when a run fails or is stopped
LAST_WORDS = 20.0
#: the same while its server is away
FEW_WORDS = 3.0
#: tags that say how a run ended
ENDING = frozenset({"exit.code", "exit.status", "exit.reason"})


class RunTrack:
    """One MLflow run that this process owns; made by `open_run` and `child`."""

    def __init__(
        self, client: MlflowClient, run_id: str, experiment_id: str, first_name: str = ""
    ) -> None:
        self._first_name = first_name
        #: the runner's run that only points to the one taken up again; never complete itself
        self.stands_in = False
        self.client = client
        self.run_id = run_id
        self.experiment_id = experiment_id
        self.history = History(client, experiment_id)
        self.models = Models(client, self.history)
        self._delivery: Delivery | None = None
        #: what a run that was taken up again has on record: it is not written twice
        self.recorded: Mapping[str, float] = {}

    def tags(self, tags: Mapping[str, object]) -> None:
        """Set tags, in one request."""
        rows = [RunTag(key, scrub(str(value))) for key, value in tags.items()]
        self.client.log_batch(self.run_id, tags=rows)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Write estimates; returns once the server has them."""
        new = {name: v for name, v in metrics.items() if self.recorded.get(name) != float(v)}
        send_metrics(self.client, self.run_id, new)

    def model_metrics(
        self, model_id: str, metrics: Mapping[str, float], dataset_name: str, dataset_digest: str
    ) -> None:
        """Write metrics of a logged model on one table; they show on this run, too.

        A metric of a run alone would also be inherited by every model logged on it later.
        """
        send_metrics(
            self.client,
            self.run_id,
            metrics,
            model_id=model_id,
            dataset_name=dataset_name,
            dataset_digest=dataset_digest,
        )

    def log_model(self, write: Callable[[Path, str], None], tags: Mapping[str, str]) -> str:
        """Log a model that `write` puts into a folder it gets, with the model's id; its id."""
        return log_model(self.client, self.experiment_id, self.run_id, write, tags)

    def config(self, config: object) -> None:
        """Log the effective configuration: `cfg.*` params and config.json.

        The runner has already logged the command line under the bare names, shell-quoted.
        """
        values = asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}
        self.params({f"cfg.{key}": value for key, value in values.items()})
        self.json(json.loads(scrub(json.dumps(values, default=str))), "config.json")

    def params(self, params: Mapping[str, object]) -> None:
        """Write immutable params; one too long for MLflow says where its whole text is."""
        rows = []
        for key, value in params.items():
            text = scrub(str(value))
            if len(text) > PARAM_CHARS:
                text = f"(long: see config.json) {text[:200]}"
            rows.append(Param(key, text))
        self.client.log_batch(self.run_id, params=rows)

    def json(self, content: Any, name: str) -> None:
        """Write `content` as a JSON artifact."""
        self.client.log_text(self.run_id, json.dumps(content, indent=2, default=str), name)

    def artifact(self, path: Path, folder: str | None = None) -> str:
        """Upload a file; return its path inside the run's artifacts."""
        self.client.log_artifact(self.run_id, str(path), folder)
        return f"{folder}/{path.name}" if folder else path.name

    def text(self, content: str, name: str) -> None:
        """Write a text artifact."""
        self.client.log_text(self.run_id, content, name)

    def figure(self, figure: Figure, name: str) -> None:
        """Write a figure under figures/."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.png"
            figure.savefig(path, dpi=120, bbox_inches="tight")
            self.artifact(path, "figures")

    def inputs(self, datasets: list[DatasetInput]) -> None:
        """Record the tables this run reads."""
        self.client.log_inputs(self.run_id, datasets)

    def name(self, name: str) -> None:
        """Name the run, unless the user named it (`--run-name`)."""
        current = self.client.get_run(self.run_id).info.run_name or ""
        if not current or current == self._first_name or RANDOM_NAME.match(current):
            self.client.set_tag(self.run_id, "mlflow.runName", name)

    def recorder(self, history_csv: Path) -> MlflowRecorder:
        """A recorder for the metrics of a training; `settle` waits until the server has them.

        Beside the history it keeps a spool, from which `sync_run` can repair the run.
        """
        self._delivery = Delivery(self.client, self.run_id, history_csv.parent)
        return self._delivery.recorder(history_csv)

    def settle(self, timeout: float | None = None) -> None:
        """Return when the server has all that was recorded; see `Delivery.settle`."""
        if self._delivery is not None:
            self._delivery.settle(timeout)

    @property
    def away(self) -> bool:
        """Whether the server did not take what was recorded last."""
        return self._delivery is not None and self._delivery.away

    @property
    def way_on(self) -> str:
        """How a training goes on whose end could not be written; empty for other phases."""
        return self._delivery.way_on if self._delivery is not None else ""

    def close_orphans(self) -> list[OpenRun]:
        """Mark runs of this experiment KILLED whose process died on this machine; those closed."""
        found = open_runs(self.client, [self.experiment_id], leave={self.run_id})
        return [run for run in found if close(self.client, run)]

    def close(self) -> None:
        """Let go of local files; the run itself has ended."""
        if self._delivery is not None:
            self._delivery.close()

    def end(self, status: str, code: int, reason: str) -> None:
        """End the run as FAILED or KILLED, as far as the store lets us; bounded in time."""
        tags = {"exit.code": str(code), "exit.status": status, "exit.reason": reason[:4000]}
        with suppress(Exception):  # the store may be what failed: the first error is to be shown
            if self._delivery is not None:
                self._delivery.spool.ended(tags)
            if not self.away:
                self.settle(LAST_WORDS)
        with suppress(Exception):
            within(FEW_WORDS if self.away else LAST_WORDS, lambda: self._say_end(status, tags))

    def _say_end(self, status: str, tags: Mapping[str, str]) -> None:
        self.tags(tags)
        self.client.set_terminated(self.run_id, status)

    @contextmanager
    def system_metrics(self, wanted: bool) -> Iterator[None]:
        """Record processor, memory and disk use with the run inside this block, if wanted."""
        if not wanted:
            yield
            return
        monitor = SystemMetricsMonitor(self.run_id, tracking_uri=self.client.tracking_uri)
        monitor.start()
        try:
            yield
        finally:
            monitor.finish()

    def share_view(self) -> str:
        """Store the run table's view with the experiment; the address that opens it."""
        path = share_view(self.client, self.experiment_id)
        uri = scrub(self.client.tracking_uri)
        if uri.startswith("http"):
            return uri.rstrip("/") + path
        return f"http://127.0.0.1:5000{path} (of: mlflow ui --backend-store-uri {uri})"

    def child(self, name: str, run_id: str = "") -> Any:
        """Context manager: a nested run with the same contract; a new one, or `run_id` again."""
        if run_id:
            self.client.set_tag(run_id, "mlflow.parentRunId", self.run_id)
        return _owned(self.client, self.experiment_id, name, run_id or None, parent=self.run_id)

    def continuing(self, run_id: str) -> Any:
        """Context manager: take up an earlier run of the same work again."""
        self.tags({"resumed_into": run_id})
        self.stands_in = True
        self.name(f"resume of {run_id}")
        return _owned(self.client, self.experiment_id, "", run_id=run_id)


@contextmanager
def open_run(phase: str) -> Iterator[RunTrack]:
    """The run of this process: the one `mlflow run` made, or a new one.

    Parameters
    ----------
    phase : str
        Name of the entry point.

    Raises
    ------
    TrackingFailure
        If the tracking server cannot be reached.
    """
    uri = chosen_store()
    if scrub(uri) != uri:  # MLflow would print the run's address, password included
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id and (elsewhere := relative_store(uri)) and not Path(elsewhere).exists():
        raise TrackingFailure(started_elsewhere(uri))  # before an empty file is made there
    client = reachable_client()
    experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID") or _experiment_by_name(client)
    with _owned(client, experiment_id, phase, run_id=run_id) as track:
        yield track


def _experiment_by_name(client: MlflowClient) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


@contextmanager
def _owned(
    client: MlflowClient,
    experiment_id: str,
    name: str,
    run_id: str | None = None,
    parent: str | None = None,
) -> Iterator[RunTrack]:
    """Own a run: whatever ends the block also ends the run, with the right status."""
    lock = lock_of(run_id) if run_id else None
    try:
        if run_id and lock and not lock.take():
            raise taken(run_id, "another process of this machine")
        run = _take_up(client, run_id) if run_id else _new_run(client, experiment_id, name, parent)
        if lock is None:
            lock = lock_of(run.info.run_id)
            lock.take()
        track = RunTrack(client, run.info.run_id, run.info.experiment_id, first_name=name)
        track.recorded = run.data.metrics if run_id else {}
        heart = Heart(client, track.run_id)
        try:
            with _ending(track):
                yield track
        finally:
            heart.stop()
            track.close()
    finally:
        if lock is not None:
            lock.release()


def _new_run(client: MlflowClient, experiment_id: str, name: str, parent: str | None) -> Run:
    tags = {"mlflow.parentRunId": parent} if parent else {}
    tags["mlflow.source.name"] = f"priorwise {name}"
    tags[HEARTBEAT] = Heartbeat.now().text
    try:
        return client.create_run(experiment_id, run_name=name, tags=tags)
    except MlflowException as error:
        raise _not_opened(client, error) from error


def _take_up(client: MlflowClient, run_id: str) -> Run:
    """A run that exists: the runner's, or one that was interrupted."""
    try:
        run = client.get_run(run_id)
        check_unowned(run)
        client.set_tag(run_id, HEARTBEAT, Heartbeat.now().text)
        client.update_run(run_id, status="RUNNING")
        for tag in sorted(ENDING.intersection(run.data.tags)):
            client.delete_tag(run_id, tag)  # of the time it was interrupted
    except MlflowException as error:
        hint = ""
        if relative_store(client.tracking_uri):
            hint = f"; {started_elsewhere(client.tracking_uri)}"
        raise _not_opened(client, error, hint) from error
    return run


def _not_opened(client: MlflowClient, error: MlflowException, hint: str = "") -> TrackingFailure:
    return TrackingFailure(f"the run cannot be opened: {first_line(error)}{hint}")


@contextmanager
def _ending(track: RunTrack) -> Iterator[None]:
    """End the run as the block ends."""
    try:
        track.tags(
            {
                "source.digest": source_digest(),
                "git.dirty": git_dirty(),
                "tracking.uri": track.client.tracking_uri,
            }
        )
        yield
        track.settle()
        track.tags({"exit.code": 0, "exit.status": "FINISHED"})
        if not track.stands_in:
            track.tags({"complete": "true"})
        track.client.set_terminated(track.run_id, "FINISHED")
    except Interrupted as stop:
        track.end("KILLED", stop.exit_code, stop.reason)
        raise
    except PriorwiseError as error:
        track.end("FAILED", error.exit_code, str(error))
        raise
    except Exception as error:
        if of_the_store(error):
            failure = TrackingFailure(f"tracking: {first_line(error)}{track.way_on}")
            track.end("FAILED", failure.exit_code, str(failure))
            raise failure from error
        _end_as_bug(track, error)
        raise
    except BaseException as error:
        _end_as_bug(track, error)
        raise


def _end_as_bug(track: RunTrack, error: BaseException) -> None:
    track.end("FAILED", 1, f"{type(error).__name__}: {error}")
    if not track.away:
        with suppress(Exception):  # the store may be gone, too; the bug is what to show
            track.text(scrub(traceback.format_exc()), "traceback.txt")
