"""A run's life on a real store: attached or made, told the truth about, and ended the right way."""

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from tests.tracking.synthetic_runs import DIGEST, Runs

from priorwise.errors import (
    BadInput,
    Interrupted,
    PriorNotResolvable,
    TrackingFailure,
)
from priorwise.tracking import runs as module
from priorwise.tracking import store as store_module
from priorwise.tracking.datasets import lance_input
from priorwise.tracking.fingerprint import source_digest
from priorwise.tracking.runs import RunTrack, open_run
from priorwise.tracking.secrets import scrub
from priorwise.tracking.store import reachable_client

SECRET = "hunter2secret"


@pytest.fixture(scope="module")
def database(empty_store, tmp_path_factory) -> Path:
    """A store of this file's own."""
    path = tmp_path_factory.mktemp("runs") / "mlflow.db"
    shutil.copy(empty_store / "mlflow.db", path)
    return path


@pytest.fixture(scope="module")
def client(database) -> MlflowClient:
    return MlflowClient(f"sqlite:///{database}")


@pytest.fixture
def runs(client, tmp_path, monkeypatch) -> Runs:
    """A fresh experiment, in the shell of a script that nobody started through `mlflow run`."""
    made = Runs(client, tmp_path)
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", client.tracking_uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", made.experiment_id)
    return made


@pytest.fixture
def track(runs) -> Iterator[RunTrack]:
    """A run to write on."""
    run = runs.client.create_run(runs.experiment_id, run_name="gifted-ant-123")
    made = RunTrack(runs.client, run.info.run_id, runs.experiment_id)
    yield made
    made.close()


def read(track: RunTrack):
    return track.client.get_run(track.run_id)


def artifact(track: RunTrack, name: str) -> Path:
    return Path(read(track).info.artifact_uri.removeprefix("file://")) / name


def only_run(runs: Runs):
    """The one run of the experiment."""
    (run,) = runs.client.search_runs([runs.experiment_id])
    return run


# --- how a run begins ---------------------------------------------------------------------------


def test_makes_a_run_without_a_runner(runs):
    with open_run("simulate") as track:
        assert read(track).info.status == "RUNNING"
        assert read(track).data.tags["mlflow.source.name"] == "priorwise simulate"
    run = only_run(runs)
    assert run.info.run_id == track.run_id
    assert run.info.run_name == "simulate"
    assert run.info.status == "FINISHED"
    assert track.history.experiment_id == runs.experiment_id


def test_attaches_to_the_run_of_the_runner(runs, monkeypatch):
    made = runs.client.create_run(runs.experiment_id, run_name="user's name")
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")  # the run knows better
    with open_run("simulate") as track:
        assert track.run_id == made.info.run_id
        assert track.experiment_id == runs.experiment_id
    run = only_run(runs)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "user's name"


def test_experiment_by_name_is_made_once(runs, monkeypatch):
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    name = f"named {runs.folder}"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", name)
    monkeypatch.chdir(runs.folder)
    found = []
    for _ in range(2):
        with open_run("simulate") as track:
            found.append(track.experiment_id)
    assert found[0] == found[1] == runs.client.get_experiment_by_name(name).experiment_id


def test_store_of_a_shell_that_names_none(runs, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    asked = []
    monkeypatch.setattr(store_module.mlflow, "set_tracking_uri", asked.append)
    monkeypatch.setattr(module, "reachable_client", lambda: runs.client)
    with open_run("simulate"):
        pass
    assert asked == ["sqlite:///mlflow.db"]


def test_run_of_the_runner_that_does_not_exist(runs, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(TrackingFailure), open_run("simulate"):
        pass


def test_runner_in_another_folder_with_a_store_of_relative_path(runs, monkeypatch, tmp_path):
    """`mlflow run PROJECT` made its run in ./mlflow.db; the entry point runs in PROJECT."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(TrackingFailure, match="in another folder") as told, open_run("ingest"):
        pass
    assert str(project) in str(told.value) and "sqlite:////ABSOLUTE/PATH" in str(told.value)
    assert not list(project.iterdir()), "no empty store is left there"
    shutil.copy(runs.client.tracking_uri.removeprefix("sqlite:///"), project / "mlflow.db")
    with pytest.raises(TrackingFailure, match="cannot be opened.*in another folder"):
        open_run("ingest").__enter__()


def test_deleted_experiment(runs):
    runs.client.delete_experiment(runs.experiment_id)
    with pytest.raises(TrackingFailure, match="active"), open_run("simulate"):
        pass


# --- how it ends --------------------------------------------------------------------------------


def test_complete_is_written_last(runs, monkeypatch):
    """Whatever the process dies of before, the run is not complete."""
    log = []
    for name in ("log_batch", "log_artifact", "log_text", "set_terminated", "update_run"):
        original = getattr(MlflowClient, name)

        def noting(self, run_id, *args, _name=name, _original=original, **more):
            tags = {tag.key for tag in more.get("tags", ())}
            log.append((_name, tags, args[:1]))
            return _original(self, run_id, *args, **more)

        monkeypatch.setattr(MlflowClient, name, noting)
    with open_run("simulate") as track:
        track.tags({"phase": "simulate"})
        track.metrics({"c": 0.5})
        track.text("x", "x.txt")
        during = read(track).data.tags
    written = [i for i, (_, tags, _) in enumerate(log) if "complete" in tags]
    assert written == [len(log) - 2]
    assert log[-1] == ("set_terminated", set(), ("FINISHED",))
    assert "complete" not in during
    tags = only_run(runs).data.tags
    assert tags["complete"] == "true"
    assert (tags["exit.code"], tags["exit.status"]) == ("0", "FINISHED")
    assert "exit.reason" not in tags
    assert tags["source.digest"] == source_digest()
    assert tags["git.dirty"] in ("true", "false", "unknown")


@pytest.mark.parametrize(
    ("error", "status", "code", "reason"),
    [
        (BadInput("data: no such folder"), "FAILED", "2", "data: no such folder"),
        (PriorNotResolvable("no fit run"), "FAILED", "3", "no fit run"),
        (TrackingFailure("gone"), "FAILED", "4", "gone"),
        (RuntimeError("a bug"), "FAILED", "1", "RuntimeError: a bug"),
        (SystemExit(7), "FAILED", "1", "SystemExit: 7"),
        (KeyboardInterrupt(), "FAILED", "1", "KeyboardInterrupt: "),
        (Interrupted(15, "received SIGTERM"), "KILLED", "143", "received SIGTERM"),
        (Interrupted(2, "received SIGINT"), "KILLED", "130", "received SIGINT"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_a_run_that_ends_badly_says_how(runs, error, status, code, reason):
    with pytest.raises(type(error)) as caught, open_run("simulate"):
        raise error
    assert caught.value is error
    run = only_run(runs)
    assert run.info.status == status
    assert run.info.end_time
    tags = run.data.tags
    assert "complete" not in tags
    assert (tags["exit.code"], tags["exit.status"]) == (code, status)
    assert tags["exit.reason"] == reason


def test_traceback_of_a_bug_is_kept(runs):
    with pytest.raises(ZeroDivisionError), open_run("simulate") as track:
        track.metrics({"x": 1 / 0})
    text = artifact(track, "traceback.txt").read_text()
    assert "ZeroDivisionError" in text
    assert "test_runs.py" in text


def test_an_expected_failure_leaves_no_traceback(runs):
    with pytest.raises(BadInput), open_run("simulate") as track:
        raise BadInput("data: no such folder")
    assert not artifact(track, "traceback.txt").exists()


def test_error_of_the_store_is_exit_4(runs):
    message = f"the store at http://user:{SECRET}@host is gone\nmore"
    with pytest.raises(TrackingFailure) as caught, open_run("simulate"):
        raise MlflowException(message)
    assert str(caught.value) == "tracking: the store at http://user:***@host is gone"
    assert caught.value.exit_code == 4
    assert only_run(runs).info.status == "FAILED"


def test_store_that_dies_does_not_hide_the_first_error(runs, monkeypatch):
    def dead(*args, **more):
        raise MlflowException("the store is gone")

    with pytest.raises(BadInput, match="data: no such folder"), open_run("simulate"):
        monkeypatch.setattr(MlflowClient, "log_batch", dead)
        monkeypatch.setattr(MlflowClient, "set_terminated", dead)
        raise BadInput("data: no such folder")


def test_store_that_dies_does_not_hide_a_bug(runs, monkeypatch):
    def dead(*args, **more):
        raise MlflowException("the store is gone")

    with pytest.raises(ZeroDivisionError), open_run("simulate"):
        for name in ("log_batch", "log_text", "set_terminated"):
            monkeypatch.setattr(MlflowClient, name, dead)
        raise ZeroDivisionError


def test_store_that_dies_at_the_very_end_leaves_no_complete_run(runs, monkeypatch):
    def dead(*args, **more):
        raise MlflowException("the store is gone")

    with pytest.raises(TrackingFailure), open_run("simulate") as track:
        monkeypatch.setattr(MlflowClient, "set_terminated", dead)
    assert not track.history.run(track.run_id).complete


def test_a_long_reason_is_stored(runs):
    with pytest.raises(BadInput), open_run("simulate"):
        raise BadInput("x" * 100_000)
    assert only_run(runs).data.tags["exit.reason"] == "x" * 4000


# --- nested and continued runs ------------------------------------------------------------------


def test_child_is_nested_and_owned(runs):
    with open_run("main") as parent:
        with parent.child("bce_pretrain positive") as child:
            assert child.run_id != parent.run_id
        with pytest.raises(BadInput), parent.child("estimate_prior positive") as failing:
            raise BadInput("no labels")
    made = read(child)
    assert made.data.tags["mlflow.parentRunId"] == parent.run_id
    assert made.info.run_name == "bce_pretrain positive"
    assert made.info.experiment_id == runs.experiment_id
    assert (made.info.status, made.data.tags["complete"]) == ("FINISHED", "true")
    assert (read(failing).info.status, read(parent).info.status) == ("FAILED", "FINISHED")


def test_continuing_an_interrupted_run(runs):
    with pytest.raises(Interrupted), open_run("bce_pretrain") as first:
        raise Interrupted(15, "received SIGTERM")
    with open_run("bce_pretrain") as second, second.continuing(first.run_id) as again:
        assert again.run_id == first.run_id
        assert read(first).info.status == "RUNNING"
    tags = read(first).data.tags
    assert (read(first).info.status, tags["complete"], tags["exit.code"]) == (
        "FINISHED",
        "true",
        "0",
    )
    assert read(second).data.tags["resumed_into"] == first.run_id


def test_continued_run_does_not_keep_the_reason_of_its_interruption(runs):
    with pytest.raises(Interrupted), open_run("bce_pretrain") as first:
        raise Interrupted(15, "received SIGTERM")
    with open_run("bce_pretrain") as second, second.continuing(first.run_id):
        pass
    assert not read(first).data.tags.get("exit.reason")


# --- what is written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("gifted-ant-123", "estimate_prior positive"),
        ("languid-steed-7", "estimate_prior positive"),
        ("my run", "my run"),
        ("run-1", "run-1"),
        ("Gifted-Ant-123", "Gifted-Ant-123"),
        ("gifted-ant-123-again", "gifted-ant-123-again"),
    ],
)
def test_only_a_random_name_is_replaced(runs, given, shown):
    run = runs.client.create_run(runs.experiment_id, run_name=given)
    track = RunTrack(runs.client, run.info.run_id, runs.experiment_id)
    track.name("estimate_prior positive")
    assert read(track).info.run_name == shown


def test_names_that_mlflow_makes_up_are_known_as_such(runs):
    for _ in range(5):
        name = runs.client.create_run(runs.experiment_id).info.run_name
        assert module.RANDOM_NAME.match(name), name


def test_params_written_twice_alike(track):
    track.params({"contract.phase": "simulate", "n": 3})
    track.params({"contract.phase": "simulate", "n": 3})
    assert read(track).data.params == {"contract.phase": "simulate", "n": "3"}


def test_param_cannot_be_changed(track):
    track.params({"contract.polarity": "positive"})
    with pytest.raises(MlflowException, match="contract.polarity"):
        track.params({"contract.polarity": "negative"})
    assert read(track).data.params["contract.polarity"] == "positive"


def test_long_params(track):
    track.params({"fits": "x" * 6000, "long": "y" * 6001})
    params = read(track).data.params
    assert params["fits"] == "x" * 6000
    assert params["long"] == "(long: see config.json) " + "y" * 200


@dataclass(frozen=True)
class Settings:
    """A configuration."""

    data: str = "data"
    epochs: int = 30
    encoder_lr: float = 5e-6
    override: bool = False
    long: str = ""
    names: tuple[str, ...] = field(default=("a", "b"))


def test_configuration_is_logged_once_and_whole(track):
    settings = Settings(data="a 'b' \"c\"; $(d)\n-e", long="z" * 7000)
    track.config(settings)
    params = read(track).data.params
    assert set(params) == {f"cfg.{name}" for name in Settings.__dataclass_fields__}
    assert params["cfg.data"] == settings.data
    assert (params["cfg.epochs"], params["cfg.encoder_lr"]) == ("30", "5e-06")
    written = json.loads(artifact(track, "config.json").read_text())
    assert written["data"] == settings.data
    assert written["long"] == settings.long
    assert (written["epochs"], written["override"]) == (30, False)


def test_metrics(track):
    track.metrics({"c": 0.5889, "n": 3})
    assert read(track).data.metrics == {"c": 0.5889, "n": 3.0}
    assert len(track.client.get_metric_history(track.run_id, "c")) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_metric_that_is_not_finite_is_a_tag(track, value):
    track.metrics({"c": value, "s": 0.267})
    run = read(track)
    assert run.data.metrics == {"s": 0.267}
    assert run.data.tags["nonfinite.c"] == f"{value} at step 0"


def test_epochs_go_to_the_csv_and_to_the_server(track, tmp_path):
    recorder = track.recorder(tmp_path / "history.csv")
    recorder.epoch({"train_loss": 0.5, "val_recall": 0.25}, 0)
    recorder.epoch({"train_loss": float("inf"), "val_recall": 0.5}, 1)
    track.settle()
    lines = (tmp_path / "history.csv").read_text().split()
    assert lines == ["epoch,train_loss,val_recall", "0,0.5,0.25", "1,inf,0.5"]
    history = track.client.get_metric_history(track.run_id, "val_recall")
    assert [(m.step, m.value) for m in history] == [(0, 0.25), (1, 0.5)]
    assert len(track.client.get_metric_history(track.run_id, "train_loss")) == 1
    assert read(track).data.tags["nonfinite.train_loss"] == "inf at step 1"


def test_epoch_is_on_disk_before_the_server_is_asked(track, tmp_path, monkeypatch):
    def dead(*args, **more):
        raise MlflowException("the store is gone")

    monkeypatch.setattr(MlflowClient, "log_batch", dead)
    track.recorder(tmp_path / "history.csv").epoch({"train_loss": 0.5}, 0)
    with pytest.raises(TrackingFailure, match="the store is gone"):
        track.settle(0.1)
    assert "0,0.5" in (tmp_path / "history.csv").read_text()


def test_artifacts_and_figures(track, tmp_path):
    (tmp_path / "last.ckpt").write_bytes(b"weights")
    assert track.artifact(tmp_path / "last.ckpt", "checkpoints") == "checkpoints/last.ckpt"
    assert track.artifact(tmp_path / "last.ckpt") == "last.ckpt"
    track.json({"pi": 0.4534}, "prior.json")
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    track.figure(figure, "training_curves")
    assert artifact(track, "checkpoints/last.ckpt").read_bytes() == b"weights"
    assert json.loads(artifact(track, "prior.json").read_text()) == {"pi": 0.4534}
    assert artifact(track, "figures/training_curves.png").read_bytes()[:4] == b"\x89PNG"


# --- secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://user:{SECRET}@host:5432/db", "postgresql://user:***@host:5432/db"),
        (f"https://user:{SECRET}@host", "https://user:***@host"),
        (
            f"a http://u:{SECRET}@h/x b http://v:{SECRET}@h/y",
            "a http://u:***@h/x b http://v:***@h/y",
        ),
        (f"https://h/x?token={SECRET}&a=1", "https://h/x?token=***&a=1"),
        (f"https://h/x?X-Amz-Signature={SECRET}", "https://h/x?X-Amz-Signature=***"),
        (f"https://h/x?api_key={SECRET}", "https://h/x?api_key=***"),
        (f"s3://key:{SECRET}/with/slashes@host/a", "s3://key:***@host/a"),
        (f"s3://b/x?AWSAccessKeyId={SECRET}", "s3://b/x?AWSAccessKeyId=***"),
        ("https://host:5000/a@b", "https://host:5000/a@b"),
        ("s3://bucket/a/b", "s3://bucket/a/b"),
        ("https://host:5000/x", "https://host:5000/x"),
        ("C:/data and 10:30 and a@b.org", "C:/data and 10:30 and a@b.org"),
    ],
)
def test_scrub(text, shown):
    assert scrub(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        f"redis://:{SECRET}@host",  # no user name
        f"postgresql://user:pa@{SECRET}@host/db",  # an @ in the password
        f"https://{SECRET}@github.com/x",  # a token in place of a user
        f"https://account.blob.core.windows.net/x?sv=1&sig={SECRET}",  # Azure SAS
        f"postgresql://host/db?user=u&pwd={SECRET}",
    ],
)
def test_scrub_of_rarer_forms(text):
    assert SECRET not in scrub(text)


def test_no_secret_reaches_tags_params_or_artifacts(runs, database):
    """Looks into every byte of the store and of the artifacts."""
    address = f"s3://user:{SECRET}@host/data"
    with pytest.raises(BadInput), open_run("simulate") as track:
        track.tags({"phase": "simulate", "address": address})
        track.params({"contract.address": address})
        track.config(Settings(data=address, long=f"https://h?token={SECRET}&x=1"))
        raise BadInput(f"data: {address} cannot be read")
    assert read(track).data.tags["address"] == "s3://user:***@host/data"
    assert read(track).data.tags["exit.reason"] == "data: s3://user:***@host/data cannot be read"
    assert json.loads(artifact(track, "config.json").read_text())["long"] == (
        "https://h?token=***&x=1"
    )
    files = [database, *(p for p in runs.folder.rglob("*") if p.is_file())]
    assert len(files) >= 2
    assert not [p.name for p in files if SECRET.encode() in p.read_bytes()]


def test_no_secret_reaches_the_traceback(runs):
    with pytest.raises(RuntimeError), open_run("simulate") as track:
        raise RuntimeError(f"cannot read s3://user:{SECRET}@host/data")
    assert SECRET not in artifact(track, "traceback.txt").read_text()


def test_no_secret_reaches_the_dataset_inputs(track):
    address = f"s3://user:{SECRET}x@host/data"
    track.inputs([lance_input("train_data", "training", address, 1, DIGEST, {})])
    assert SECRET not in read(track).inputs.dataset_inputs[0].dataset.source


# --- servers ------------------------------------------------------------------------------------


def failure_at(address: str, monkeypatch) -> str:
    """What is said of a server that cannot be used; at most 15 s later."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    began = time.monotonic()
    with pytest.raises(TrackingFailure) as caught:
        reachable_client()
    assert time.monotonic() - began < 15
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9", "http://127.0.0.1:9/", "http://no-such-host.invalid:5000"]
)
def test_unreachable_server(runs, monkeypatch, address):
    said = failure_at(address, monkeypatch)
    assert said.startswith(f"MLFLOW_TRACKING_URI {address}: no MLflow server answers (")


def test_unreachable_server_before_any_work(runs, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingFailure), open_run("simulate"):
        raise AssertionError("the phase must not start")


def test_password_of_an_unreachable_server_is_not_shown(runs, monkeypatch):
    said = failure_at(f"http://user:{SECRET}@127.0.0.1:9", monkeypatch)
    assert SECRET not in said


def test_password_of_a_server_without_a_port_is_not_shown(runs, monkeypatch):
    assert SECRET not in failure_at(f"http://user:{SECRET}@127.0.0.1", monkeypatch)


@pytest.mark.parametrize("address", ["nonsense://x", "http://"])
def test_address_of_no_store(runs, monkeypatch, address):
    assert address in failure_at(address, monkeypatch)


def test_store_that_is_no_database(runs, monkeypatch, tmp_path):
    (tmp_path / "x.db").write_text("not a database " * 100)
    assert "cannot be used" in failure_at(f"sqlite:///{tmp_path / 'x.db'}", monkeypatch)


def test_store_that_cannot_be_opened(runs, monkeypatch, tmp_path):
    """MLflow sleeps 0.1 * (2^n - 1) s before each of 15 attempts: here, asleep is too long."""
    from mlflow.store.db import utils

    class TooLong(Exception):
        """The next attempt would come after the 15 s that are allowed."""

    def sleep(seconds):
        if seconds > 5:
            raise TooLong

    monkeypatch.setattr(utils.time, "sleep", sleep)
    (tmp_path / "folder").mkdir()
    assert "TooLong" not in failure_at(f"sqlite:///{tmp_path / 'folder'}", monkeypatch)


def test_server_that_hangs(runs, monkeypatch):
    """It accepts the connection and never answers."""
    patience = []

    def impatient(address, timeout):
        patience.append(timeout)
        return original(address, timeout=0.3)

    original = store_module.requests.get
    monkeypatch.setattr(store_module.requests, "get", impatient)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert "no MLflow server answers" in failure_at(address, monkeypatch)
    assert patience == [10]


@pytest.fixture
def protected_server():
    """Answers only those who name the user and the password."""

    class Protected(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if "Authorization" in self.headers else 401)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Protected)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"user:{SECRET}@127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_server_with_user_and_password_in_the_address(runs, monkeypatch, protected_server):
    """MLflow itself understands such an address."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{protected_server}")
    monkeypatch.setattr(store_module.MlflowClient, "search_experiments", lambda *_, **__: [])
    assert reachable_client()
