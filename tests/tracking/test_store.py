"""Stores at the start: made once by many processes, or refused in one line."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from priorwise.errors import TrackingFailure
from priorwise.tracking.runs import open_run
from priorwise.tracking.store import reachable_client

METRICS = 10
WRITER = f"""
from priorwise.tracking.runs import open_run
with open_run("simulate") as track:
    for k in range({METRICS}):
        track.metrics({{f"m{{k}}": k}})
"""


@pytest.fixture
def at(monkeypatch):
    """Choose the store."""
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    return lambda uri: monkeypatch.setenv("MLFLOW_TRACKING_URI", str(uri))


@pytest.fixture
def database(empty_store, tmp_path):
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_store / "mlflow.db", path)
    return path


@pytest.fixture
def server_that_is_only_well():
    over = threading.Event()

    class OnlyWell(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/health":
                over.wait(60)
                return
            self.send_response(200)
            self.end_headers()

        def do_POST(self):
            over.wait(60)

        def log_message(self, *_):
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), OnlyWell)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    over.set()
    listening.shutdown()
    listening.server_close()


def refused(uri, at):
    at(uri)
    began = time.monotonic()
    with pytest.raises(TrackingFailure) as caught, open_run("simulate"):
        raise AssertionError("the phase must not start")
    assert time.monotonic() - began < 15
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("processes", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_many_processes_on_a_new_file(tmp_path, at, processes):
    """MLflow alone: all but one die of `duplicate column name`."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    at(uri)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER], cwd=tmp_path, stderr=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    errors = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0] * processes, errors
    client = reachable_client()
    found = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert [run.info.status for run in found] == ["FINISHED"] * processes
    assert sum(len(run.data.metrics) for run in found) == processes * METRICS
    assert not list(tmp_path.glob("*.lock"))


def test_tables_of_an_older_mlflow(database, at):
    with sqlite3.connect(database) as file:
        file.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
    file.close()
    before = database.read_bytes()
    said = refused(f"sqlite:///{database}", at)
    assert f"mlflow db upgrade sqlite:///{database}" in said
    assert "0584bdc529eb" in said
    assert database.read_bytes() == before


def test_older_tables_are_not_upgraded_in_silence(database, at):
    """A table is missing: MLflow itself would begin to migrate, without a copy and a lock."""
    with sqlite3.connect(database) as file:
        file.execute("UPDATE alembic_version SET version_num = '0584bdc529eb'")
        file.execute("DROP TABLE logged_model_tags")
    file.close()
    before = database.read_bytes()
    assert "mlflow db upgrade" in refused(f"sqlite:///{database}", at)
    assert database.read_bytes() == before


def test_read_only_store(database, at):
    said = refused(f"sqlite:///file:{database}?mode=ro&uri=true", at)
    assert "readonly database" in said


def test_store_of_a_folder_that_is_not_there(tmp_path, at):
    said = refused(f"sqlite:///{tmp_path}/none/mlflow.db", at)
    assert said.endswith(f"there is no folder {tmp_path}/none")


def test_full_disk(tmp_path, empty_store, at):
    """On a file system of two megabytes, filled to the last byte."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    try:
        shutil.copy(empty_store / "mlflow.db", place)
        with (place / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        assert "disk" in refused(f"sqlite:///{place}/mlflow.db", at)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_server_that_hangs_after_it_said_it_was_well(at, server_that_is_only_well):
    """Its first answer is good; to any other question it is silent."""
    assert "no answer within" in refused(server_that_is_only_well, at)
