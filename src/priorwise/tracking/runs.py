"""A run's life: attach or open, the tags and params of the contract, and how it ends."""

import json
import os
import re
import sqlite3
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import mlflow
import requests
from matplotlib.figure import Figure
from mlflow.entities import DatasetInput, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking import MlflowClient

from priorwise.errors import Interrupted, PriorwiseError, TrackingFailure
from priorwise.learn.recorder import CsvHistory
from priorwise.tracking.fingerprint import git_dirty, source_digest
from priorwise.tracking.models import Models, log_model
from priorwise.tracking.recorder import MlflowRecorder, send_metrics
from priorwise.tracking.search import History
from priorwise.tracking.secrets import scrub
from priorwise.tracking.sender import Sender
from priorwise.tracking.view import share_view

SQLITE = "sqlite:///"
DEFAULT_STORE = f"{SQLITE}mlflow.db"
#: a name MLflow made up itself ("gifted-ant-123"), as opposed to one a user chose
RANDOM_NAME = re.compile(r"^[a-z]+-[a-z]+-\d+$")
PARAM_CHARS = 6000
#: metric that is recorded within epochs
OF_STEPS = "train_loss_step"
#: seconds for what is still on its way when a run fails or is stopped
LAST_WORDS = 20.0
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
        self._sender = Sender(client, run_id)

    def tags(self, tags: Mapping[str, object]) -> None:
        """Set tags, in one request."""
        rows = [RunTag(key, scrub(str(value))) for key, value in tags.items()]
        self.client.log_batch(self.run_id, tags=rows)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Write estimates; returns once the server has them."""
        send_metrics(self.client, self.run_id, metrics)

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
        """A recorder for the metrics of a training; `settle` waits until the server has them."""
        known = -1
        if OF_STEPS in self.client.get_run(self.run_id).data.metrics:
            earlier = self.client.get_metric_history(self.run_id, OF_STEPS)
            known = max(metric.step for metric in earlier)
        return MlflowRecorder(self._sender, CsvHistory(history_csv), known)

    def settle(self, timeout: float | None = None) -> None:
        """Return when the server has all that was recorded, or after `timeout` seconds."""
        self._sender.flush(timeout)

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
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(DEFAULT_STORE)
    uri = mlflow.get_tracking_uri()
    if scrub(uri) != uri:  # MLflow would print the run's address, password included
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
    run_id = os.environ.get("MLFLOW_RUN_ID")
    if run_id and (elsewhere := _relative_store(uri)) and not Path(elsewhere).exists():
        raise TrackingFailure(_started_elsewhere(uri))  # before an empty file is made there
    client = reachable_client()
    experiment_id = os.environ.get("MLFLOW_EXPERIMENT_ID") or _experiment_by_name(client)
    with _owned(client, experiment_id, phase, run_id=run_id) as track:
        yield track


def reachable_client() -> MlflowClient:
    """A client whose server answered just now."""
    uri = mlflow.get_tracking_uri()
    if uri.startswith(("http://", "https://")):
        try:
            requests.get(f"{uri.rstrip('/')}/health", timeout=10).raise_for_status()
        except (requests.RequestException, ValueError) as error:
            raise TrackingFailure(
                f"MLFLOW_TRACKING_URI {scrub(uri)}: no MLflow server answers ({_first_line(error)})"
            ) from error
    try:
        if uri.startswith(SQLITE):
            # MLflow itself would try for almost an hour
            sqlite3.connect(uri.removeprefix(SQLITE), timeout=10).close()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # the stores raise errors of their own kinds
        raise TrackingFailure(
            f"tracking store {scrub(uri)}: cannot be used ({_first_line(error)})"
        ) from error
    return client


def _relative_store(uri: str) -> str:
    """Path of an SQLite store that depends on the folder a process is in; empty for any other."""
    path = uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else ""
    return "" if not path or path.startswith((os.sep, ":", "file:")) else path


def _started_elsewhere(uri: str) -> str:
    # MLflow's runner stays in the user's folder, the entry point runs in the project's
    return (
        f"tracking store {uri}: its run is in another folder than {Path.cwd()} (start `mlflow run` "
        f"in the project's folder, or set MLFLOW_TRACKING_URI to {SQLITE}/ABSOLUTE/PATH)"
    )


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
    try:
        if run_id:
            run = client.get_run(run_id)
            client.update_run(run_id, status="RUNNING")
            for tag in sorted(ENDING.intersection(run.data.tags)):
                client.delete_tag(run_id, tag)  # of the time it was interrupted
        else:
            tags = {"mlflow.parentRunId": parent} if parent else {}
            tags["mlflow.source.name"] = f"priorwise {name}"
            run = client.create_run(experiment_id, run_name=name, tags=tags)
    except MlflowException as error:
        hint = ""
        if run_id and _relative_store(client.tracking_uri):
            hint = f"; {_started_elsewhere(client.tracking_uri)}"
        raise TrackingFailure(f"the run cannot be opened: {_first_line(error)}{hint}") from error
    track = RunTrack(client, run.info.run_id, run.info.experiment_id, first_name=name)
    try:
        track.tags(
            {
                "source.digest": source_digest(),
                "git.dirty": git_dirty(),
                "tracking.uri": client.tracking_uri,
            }
        )
        yield track
        track.settle()
        track.tags({"exit.code": 0, "exit.status": "FINISHED"})
        if not track.stands_in:
            track.tags({"complete": "true"})
        client.set_terminated(track.run_id, "FINISHED")
    except Interrupted as stop:
        _end(track, "KILLED", stop.exit_code, stop.reason)
        raise
    except PriorwiseError as error:
        _end(track, "FAILED", error.exit_code, str(error))
        raise
    except MlflowException as error:
        failure = TrackingFailure(f"tracking: {_first_line(error)}")
        _end(track, "FAILED", failure.exit_code, str(failure))
        raise failure from error
    except BaseException as error:
        _end(track, "FAILED", 1, f"{type(error).__name__}: {error}")
        with suppress(Exception):  # the store may be gone, too; the bug is what to show
            track.text(scrub(traceback.format_exc()), "traceback.txt")
        raise


def _end(track: RunTrack, status: str, code: int, reason: str) -> None:
    try:
        with suppress(Exception):
            track.settle(LAST_WORDS)
        track.tags({"exit.code": code, "exit.status": status, "exit.reason": reason[:4000]})
        track.client.set_terminated(track.run_id, status)
    except Exception:  # the store may be what failed: the first error is the one to show
        pass


def _first_line(error: BaseException) -> str:
    return scrub(str(error).strip() or type(error).__name__).splitlines()[0][:300]
