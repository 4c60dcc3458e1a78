"""Runs that say RUNNING although nobody works on them any more."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mlflow.entities import Run, ViewType
from mlflow.tracking import MlflowClient

from priorwise.tracking.heartbeat import TAG, Heartbeat
from priorwise.tracking.ownership import lock_of

PAGE = 500
HOUR = 3600.0


@dataclass(frozen=True)
class Verdict:
    """Whether a run is an orphan, and why or why not.

    Attributes
    ----------
    orphan : bool
    reason : str
    """

    orphan: bool
    reason: str


@dataclass(frozen=True)
class OpenRun:
    """A run with the status RUNNING."""

    run_id: str
    name: str
    phase: str
    owner: Heartbeat | None
    verdict: Verdict


def judge(owner: Heartbeat | None, older_than: float, waited: float = -1.0) -> Verdict:
    """Whether the process that gave a sign of life is dead.

    Parameters
    ----------
    owner : Heartbeat or None
    older_than : float
        Seconds of silence from which a process of another machine counts as dead; 0 = never.
    waited : float
        Of a run that `mlflow run` made and no phase has taken up: seconds since.
    """
    if owner is None and waited >= 0:
        why = f"`mlflow run` made it {waited / HOUR:.1f} h ago, and no phase has begun"
        return Verdict(bool(older_than) and waited >= older_than, why)
    if owner is None:
        return Verdict(False, "has no heartbeat: nobody can tell whether its process lives")
    if owner.alive:
        return Verdict(False, f"{owner} is alive")
    if owner.here:
        return Verdict(True, f"{owner} is gone (killed, out of memory or crashed)")
    silent = f"{owner}, not to be seen from here, silent for {owner.silence / HOUR:.1f} h"
    if older_than and owner.silence >= older_than:
        return Verdict(True, silent)
    return Verdict(False, silent)


def open_runs(
    client: MlflowClient,
    experiment_ids: Sequence[str],
    older_than: float = 0.0,
    leave: Collection[str] = (),
) -> list[OpenRun]:
    """All runs that say RUNNING, but those to `leave` out, newest first."""
    found: list[OpenRun] = []
    token = None
    while True:
        page = client.search_runs(
            list(experiment_ids),
            "attributes.status = 'RUNNING'",
            run_view_type=ViewType.ACTIVE_ONLY,
            max_results=PAGE,
            page_token=token,
        )
        found += [_seen(run, older_than) for run in page if run.info.run_id not in leave]
        token = page.token
        if not token:
            return found


def close(client: MlflowClient, run: OpenRun) -> bool:
    """Mark an orphan KILLED; False if somebody has taken it up meanwhile."""
    lock = lock_of(run.run_id)
    if not run.verdict.orphan or not lock.take():
        return False
    try:
        now = client.get_run(run.run_id)
        if now.info.status != "RUNNING" or Heartbeat.read(now.data.tags.get(TAG)) != run.owner:
            return False
        client.set_tag(run.run_id, "exit.status", "KILLED")
        client.set_tag(run.run_id, "exit.reason", f"{run.verdict.reason}; closed afterwards")
        ended = int(1000 * run.owner.at) if run.owner else None
        client.set_terminated(run.run_id, "KILLED", end_time=ended)
        return True
    finally:
        lock.release()


def _seen(run: Run, older_than: float) -> OpenRun:
    owner = Heartbeat.read(run.data.tags.get(TAG))
    started = (run.info.start_time or 0) / 1000
    by_runner = run.data.tags.get("mlflow.source.type") == "PROJECT"
    waited = time.time() - started if by_runner else -1.0
    return OpenRun(
        run.info.run_id,
        run.info.run_name or "",
        run.data.tags.get("phase", ""),
        owner,
        judge(owner, older_than, waited),
    )
