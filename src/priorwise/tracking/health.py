"""Whether a tracking store and its artifact store can be written to: tried out, nothing is left."""

import ipaddress
import os
import tempfile
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import psutil
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import is_local_uri

from priorwise.errors import TrackingFailure
from priorwise.tracking.orphans import open_runs
from priorwise.tracking.outage import first_line
from priorwise.tracking.secrets import scrub
from priorwise.tracking.store import DEFAULT_STORE, SQLITE, chosen_store, reachable_client

_PROBE = "priorwise.doctor."


@dataclass(frozen=True)
class Experiment:
    """Where runs go.

    Attributes
    ----------
    name, experiment_id : str
        The id is empty if the experiment will be made by the first run.
    artifacts : str
        Root of its artifacts; empty if not known yet.
    """

    name: str
    experiment_id: str
    artifacts: str


def store_to_be_made() -> str:
    """The SQLite file that the first run would make; empty if the store is there, or another."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_STORE
    path = uri.removeprefix(SQLITE) if uri.startswith(SQLITE) else ""
    return path if path and not path.startswith((":", "file:")) and not Path(path).exists() else ""


def connected() -> MlflowClient:
    """A client of the store that runs would go to.

    Raises
    ------
    TrackingFailure
        If it does not answer, or cannot be read.
    """
    chosen_store()
    return reachable_client()


def experiment_of(client: MlflowClient) -> Experiment:
    """The experiment that runs of this shell would go to.

    Raises
    ------
    TrackingFailure
        If it is deleted: runs would be refused.
    """
    given = os.environ.get("MLFLOW_EXPERIMENT_ID")
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "Default")
    try:
        found = client.get_experiment(given) if given else client.get_experiment_by_name(name)
    except MlflowException as error:
        raise TrackingFailure(f"experiment {given or name}: {first_line(error)}") from error
    if found is None:
        return Experiment(name, "", "")
    if found.lifecycle_stage != "active":
        raise TrackingFailure(f"experiment {found.name} is deleted (restore it, or name another)")
    return Experiment(found.name, found.experiment_id, str(found.artifact_location))


def write_and_forget(client: MlflowClient, experiment: Experiment) -> None:
    """Set a tag of the experiment, read it back, and delete it.

    Raises
    ------
    TrackingFailure
        If one of the three does not work.
    """
    key, value = f"{_PROBE}{uuid.uuid4().hex}", uuid.uuid4().hex
    try:
        client.set_experiment_tag(experiment.experiment_id, key, value)
        found = client.get_experiment(experiment.experiment_id).tags.get(key)
        client.delete_experiment_tag(experiment.experiment_id, key)
        left = key in client.get_experiment(experiment.experiment_id).tags
    except Exception as error:  # the stores raise errors of their own kinds
        raise TrackingFailure(f"cannot be written ({first_line(error)})") from error
    if found != value or left:
        raise TrackingFailure("what is written is not what is read back")


def artifact_round_trip(experiment: Experiment, client: MlflowClient) -> None:
    """Write a small artifact beside those of the runs, read it back, and delete it.

    Raises
    ------
    TrackingFailure
        If one of the three does not work.
    """
    name, content = f"{_PROBE}{uuid.uuid4().hex}", os.urandom(64)
    made = _missing_folders(experiment.artifacts)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            probe = Path(scratch, "probe")
            probe.write_bytes(content)
            store = get_artifact_repository(experiment.artifacts, client.tracking_uri)
            try:
                store.log_artifact(str(probe), name)
                copy = Path(scratch, "copy")
                copy.mkdir()
                found = Path(store.download_artifacts(f"{name}/probe", str(copy))).read_bytes()
            finally:
                with suppress(FileNotFoundError):
                    store.delete_artifacts(name)
            left = [item.path for item in store.list_artifacts() if item.path == name]
    except Exception as error:  # the stores raise errors of their own kinds
        raise TrackingFailure(f"cannot be written ({first_line(error)})") from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
    if found != content:
        raise TrackingFailure("what is written is not what is read back")
    if left:
        raise TrackingFailure(f"{name} cannot be deleted")


def _missing_folders(address: str) -> list[Path]:
    """Folders that a first artifact would make, the innermost first."""
    folder = local_folder(address)
    if folder is None:
        return []
    return [place for place in (folder, *folder.parents) if not place.exists()]


def local_folder(address: str) -> Path | None:
    """The folder of a local artifact root; None for any other."""
    if not address or not is_local_uri(address):
        return None
    return Path(local_file_uri_to_path(address))


def n_open_runs(client: MlflowClient, experiment: Experiment) -> int:
    """Runs that say RUNNING, but for the one that this process was started for."""
    if not experiment.experiment_id:
        return 0
    mine = os.environ.get("MLFLOW_RUN_ID", "")
    return len(open_runs(client, [experiment.experiment_id], leave={mine}))


def pickle_is_forbidden() -> bool:
    """Whether MLflow, in this process, refuses models that are pickles."""
    return not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()


def exposures(uri: str) -> list[str]:
    """In which ways a tracking server of this address is open to others; empty if in none."""
    found = []
    bound = os.environ.get("MLFLOW_HOST", "")
    if bound and not is_loopback(bound):
        found.append(f"MLFLOW_HOST={bound}: a server started from this shell is open to others")
    parts = urlparse(uri)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        found.append(f"{scrub(uri)} is not encrypted: passwords and models can be changed")
    elif parts.scheme == "http" and (address := _listens_to_all(parts.port or 80)):
        found.append(f"the server on port {parts.port or 80} listens on {address}, not on loopback")
    return found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, reached by nobody else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _listens_to_all(port: int) -> str:
    """The address a local server listens on, if it is more than loopback."""
    with suppress(psutil.Error, OSError):
        for link in psutil.net_connections("tcp"):
            if link.status == psutil.CONN_LISTEN and link.laddr.port == port:
                return "" if is_loopback(link.laddr.ip) else str(link.laddr.ip)
    return ""
