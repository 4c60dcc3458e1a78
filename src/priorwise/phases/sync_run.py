"""Send what a training recorded while its tracking server was away."""

from dataclasses import dataclass
from pathlib import Path

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.desk import WORK_FOLDER, Desk, Plan, say
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.ownership import sole_writer
from priorwise.tracking.replay import missing, send
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.secrets import scrub
from priorwise.tracking.spool import SPOOL, Spooled, read_spool


@dataclass(frozen=True)
class SyncRun:
    """Parameters of `sync_run`.

    Attributes
    ----------
    spool : str
        spool.csv of a training's working folder, or that folder. Either this or `run`.
    run : str
        Id of the run; its folder is looked for below `out`.
    seed : int
        Accepted as in every phase; nothing here is random.
    config : str
        Recipe YAML; empty for none.
    out : str
        `out` of the training, if it had one; empty = .priorwise/runs.
    """

    spool: str = ""
    run: str = ""
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if bool(self.spool) == bool(self.run):
            given = "both" if self.run else "neither"
            raise BadInput(
                f"spool, run: {given} given (expected one: the {SPOOL} of a training, or the id "
                "of its run)"
            )


Config = SyncRun


def prepare(config: SyncRun, desk: Desk) -> Plan:
    """Read the spool whole, and find its run."""
    path = _path(config)
    spooled = read_spool(path)
    run_id = spooled.run_id
    if config.run and run_id != config.run:
        raise BadInput(f"{path}: is of run {run_id} (expected {config.run})")
    facts = desk.track.history.run(run_id)
    if facts is None or facts.deleted:
        uri = scrub(desk.track.client.tracking_uri)
        raise BadInput(
            f"{path}: its run {run_id} is not in {uri}, or deleted (it was recorded in "
            f"{spooled.store}: set MLFLOW_TRACKING_URI to where that store is now)"
        )
    return Plan(
        phase="sync_run",
        polarity="",
        config=config,
        tables={},
        fingerprint=fingerprint("sync_run", {}, [file_sha256(path)], {}),
        upstream={"upstream.synced": run_id},
        resolved=spooled,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Send what is missing, look again, and say how the run goes on."""
    spooled: Spooled = plan.resolved
    client, run_id = track.client, spooled.run_id
    if spooled.dropped:
        say(f"warning: {spooled.dropped}")
    with sole_writer(client, run_id):
        rows = missing(client, spooled)
        send(client, run_id, rows)
        still = missing(client, spooled)
        if still.metrics or still.tags:
            raise TrackingFailure(
                f"run {run_id}: {len(still.metrics)} of {len(spooled.metrics)} rows are still not "
                "on the server; start sync_run again"
            )
        if spooled.ended and client.get_run(run_id).info.status == "RUNNING":
            _end(spooled, track)
    say(
        f"{spooled.path}: {len(spooled.metrics)} rows of run {run_id}: {rows.known} were on the "
        f"server, {len(rows.metrics)} sent; {len(rows.tags)} tags set"
    )
    counts = {"rows": len(spooled.metrics), "known": rows.known, "sent": len(rows.metrics)}
    track.metrics({f"sync.{name}": count for name, count in counts.items()})
    facts = track.history.run(run_id)
    if facts is not None and not facts.complete:
        say(
            f"run {run_id} is {facts.status}, not complete: the same training with "
            f"resume={run_id} finishes it"
        )


def _path(config: SyncRun) -> Path:
    if config.run:
        return (Path(config.out) if config.out else WORK_FOLDER / "runs") / config.run / SPOOL
    path = Path(config.spool)
    return path / SPOOL if path.is_dir() else path


def _end(spooled: Spooled, track: RunTrack) -> None:
    """Say of the run how its training ended, which the server did not hear."""
    for key, value in spooled.ended.items():
        track.client.set_tag(spooled.run_id, key, value)
    track.client.set_terminated(spooled.run_id, spooled.ended.get("exit.status", "FAILED"))
