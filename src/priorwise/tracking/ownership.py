"""One process a run: whoever comes second is refused, and changes nothing."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from priorwise.errors import TrackingFailure
from priorwise.tracking.file_lock import FileLock
from priorwise.tracking.heartbeat import SILENT, TAG, Heartbeat


def lock_of(run_id: str) -> FileLock:
    """The lock that the owner of a run holds on its machine."""
    folder = Path(tempfile.gettempdir()) / f"priorwise-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # a run id comes from outside
    return FileLock(folder / f"{re.sub(r'[^0-9A-Za-z_-]', '_', run_id)[:100]}.lock")


def check_unowned(run: Run) -> None:
    """Refuse a run that another process is working on.

    Raises
    ------
    TrackingFailure
        Naming that process.
    """
    owner = Heartbeat.read(run.data.tags.get(TAG))
    if run.info.status != "RUNNING" or owner is None or owner.is_mine:
        return
    if owner.alive:
        raise taken(run.info.run_id, str(owner))
    if not owner.here and owner.silence < SILENT:
        said = f"{owner}, which gave a sign of life {owner.silence:.0f} s ago"
        raise taken(run.info.run_id, f"{said} (free after {SILENT:.0f} s without one)")


def taken(run_id: str, by: str) -> TrackingFailure:
    """What is said to the second process."""
    return TrackingFailure(f"run {run_id}: is being written by {by}; nothing was changed")


@contextmanager
def sole_writer(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Context manager: nobody else writes this run meanwhile, and no process owns it.

    Raises
    ------
    TrackingFailure
        Naming the process that does.
    """
    lock = lock_of(run_id)
    if not lock.take():
        raise taken(run_id, "another process of this machine")
    try:
        check_unowned(client.get_run(run_id))
        yield
    finally:
        lock.release()
