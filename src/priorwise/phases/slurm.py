"""Slurm jobs that are requeued: SIGUSR1 ends a run, and the job that starts again goes on in it."""

import os
import re
import signal
import subprocess

from priorwise.errors import Interrupted, LoaderKilled
from priorwise.phases.desk import Desk, say
from priorwise.tracking.runs import RunTrack

#: tags of a run: the job it belongs to, and that this job was asked to start again
JOB, REQUEUED = "slurm.job", "requeued"
#: seconds that `scontrol` may take
PATIENCE = 60


def job() -> str:
    """Number of the Slurm job that this process is part of; empty outside of one."""
    found = os.environ.get("SLURM_JOB_ID", "")
    return found if re.fullmatch(r"\d+", found) else ""


def job_tags() -> dict[str, str]:
    """Tags by which a requeued job finds its own run again."""
    return {JOB: _name()} if job() else {}


def run_of_this_job(phase: str, desk: Desk) -> str:
    """The run to take up again if this job was requeued; empty if there is none.

    Parameters
    ----------
    phase : str
        Name of the entry point.
    desk : Desk
    """
    if not job() or os.environ.get("SLURM_RESTART_COUNT", "0") in ("", "0"):
        return ""
    began = [
        facts
        for facts in desk.track.history.tagged(JOB, _name())
        if facts.params.get("contract.phase") == phase and not facts.deleted
    ]
    if not began:
        return ""
    say(f"Slurm job {job()} was started again: it goes on in its run {began[0].run_id}")
    return began[0].run_id


def to_be_requeued(stopped: BaseException) -> bool:
    """Whether this is how a Slurm job says that it will be preempted, or its time is over."""
    return isinstance(stopped, Interrupted) and stopped.signum == signal.SIGUSR1 and bool(job())


def tell_how_to_go_on(stopped: BaseException, phase: str, track: RunTrack) -> None:
    """Say how a training that was stopped is taken up again, and mark one that will be."""
    if to_be_requeued(stopped):
        track.tags({REQUEUED: _name()})
        say(f"Slurm job {job()} is requeued; it will go on in run {track.run_id}")
    elif isinstance(stopped, Interrupted | LoaderKilled):
        say(
            f"to go on, start {phase} again with resume={track.run_id} and the same parameters "
            "(after main: start main again)"
        )


def requeue() -> str:
    """Ask Slurm to start this job again; what went wrong, empty if nothing did."""
    command = ["scontrol", "requeue", job()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{' '.join(command)}: {error}"
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[:200]
        return f"{' '.join(command)}: exit code {done.returncode} ({said})"
    return ""


def _name() -> str:
    cluster = os.environ.get("SLURM_CLUSTER_NAME", "")
    return f"{cluster}/{job()}" if cluster else job()
