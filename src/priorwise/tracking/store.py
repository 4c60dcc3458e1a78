"""The tracking store at the start: it answers, and its tables are those of this MLflow."""

import os
import shlex
import sqlite3
from pathlib import Path
from urllib.parse import quote

import mlflow
import requests
from mlflow.store.db.utils import _get_latest_schema_revision
from mlflow.tracking import MlflowClient

from priorwise.errors import TrackingFailure
from priorwise.tracking.file_lock import FileLock
from priorwise.tracking.outage import first_line, within
from priorwise.tracking.secrets import scrub

SQLITE = "sqlite:///"
DEFAULT_STORE = f"{SQLITE}mlflow.db"
#: seconds for a server to answer one question, and for all questions of a start
ANSWER, START = 10.0, 13.0
#: seconds for a database server: MLflow itself would try for almost an hour
DATABASE = 60.0
#: seconds for others to make a new store's tables: on a busy machine that takes a while
TABLES = 300.0


def chosen_store() -> str:
    """Address of the store of this process: the user's, or a file in the working folder."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        mlflow.set_tracking_uri(DEFAULT_STORE)
    return mlflow.get_tracking_uri()


def reachable_client() -> MlflowClient:
    """A client whose server answered just now; a new SQLite store is made.

    Raises
    ------
    TrackingFailure
        Within 15 s (a database server: 60 s), if the store does not answer, cannot be written, or
        has the tables of another MLflow.
    """
    uri = mlflow.get_tracking_uri()
    try:
        if uri.startswith(("http://", "https://")):
            return within(START, lambda: _of_server(uri))
        if uri.startswith(SQLITE):
            return _of_database(uri)
        return within(DATABASE, lambda: _opened(uri))
    except TrackingFailure:
        raise
    except Exception as error:  # the stores raise errors of their own kinds
        if "out-of-date database schema" in str(error):
            raise _of_another_mlflow(uri) from error
        raise TrackingFailure(
            f"tracking store {scrub(uri)}: cannot be used ({first_line(error)})"
        ) from error


def relative_store(uri: str) -> str:
    """Path of an SQLite store that depends on the folder a process is in; empty for any other."""
    path = uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else ""
    return "" if not path or path.startswith((os.sep, ":", "file:")) else path


def started_elsewhere(uri: str) -> str:
    """Why a run is not in a store of relative path."""
    # MLflow's runner stays in the user's folder, the entry point runs in the project's
    return (
        f"tracking store {uri}: its run is in another folder than {Path.cwd()} (start `mlflow run` "
        f"in the project's folder, or set MLFLOW_TRACKING_URI to {SQLITE}/ABSOLUTE/PATH)"
    )


def _of_server(uri: str) -> MlflowClient:
    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=ANSWER).raise_for_status()
    except (requests.RequestException, ValueError) as error:
        raise TrackingFailure(
            f"MLFLOW_TRACKING_URI {scrub(uri)}: no MLflow server answers ({first_line(error)})"
        ) from error
    return _opened(uri)


def _opened(uri: str) -> MlflowClient:
    client = MlflowClient(uri)
    client.search_experiments(max_results=1)
    return client


def _of_database(uri: str) -> MlflowClient:
    name = uri.removeprefix(SQLITE)
    if not name or name.startswith((":", "file:")):
        return _opened(uri)
    path = Path(name)
    if _revision(path) == _get_latest_schema_revision():
        _check_writable(path)
        return _opened(uri)
    if not path.parent.is_dir():
        raise TrackingFailure(f"tracking store {uri}: there is no folder {path.parent}")
    # MLflow makes and upgrades tables without a lock: several processes would break them
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    if not lock.take(TABLES):
        raise TrackingFailure(
            f"tracking store {uri}: another process has been making its tables for {TABLES:.0f} s"
        )
    try:
        found = _revision(path)
        if found not in ("", _get_latest_schema_revision()):
            raise _of_another_mlflow(uri, found)
        return _opened(uri)
    finally:
        lock.release()


def _revision(path: Path) -> str:
    """What a database says of its tables; empty for a new one."""
    if not path.exists():
        return ""
    # MLflow itself would try for almost an hour
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=ANSWER, uri=True)
    try:
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(found[0]) if found else ""
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return ""
        raise
    finally:
        database.close()


def _check_writable(path: Path) -> None:
    database = sqlite3.connect(path, timeout=ANSWER, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
    finally:
        database.close()


def _of_another_mlflow(uri: str, found: str = "") -> TrackingFailure:
    revision = f" (revision {found}, expected {_get_latest_schema_revision()})" if found else ""
    return TrackingFailure(
        f"tracking store {scrub(uri)}: its tables are of another version of MLflow{revision}; "
        f"make a copy of the database, then run: mlflow db upgrade {shlex.quote(scrub(uri))}"
    )
