"""Where a training works: checkpoints and history of one run, kept so that it can be continued."""

import os
import shutil
from pathlib import Path

from priorwise.durable import damage, file_sha256, forget_partial, sidecar
from priorwise.errors import BadInput
from priorwise.phases.desk import WORK_FOLDER, Desk, say
from priorwise.tracking.runs import RunTrack
from priorwise.training.durable_io import LAST, PREVIOUS

#: checkpoints, in a run's working folder and among its artifacts
CHECKPOINTS = "checkpoints"
#: one line per epoch, in the same places
HISTORY = "history.csv"


def working_folder(out: str, run_id: str) -> Path:
    """Folder of one run's checkpoints and history: never shared, so nothing old is taken for new.

    Raises
    ------
    BadInput
        If it cannot be made or written to.
    """
    folder = (Path(out) if out else WORK_FOLDER / "runs") / run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"out: {folder} cannot be made ({error.strerror})") from error
    if not os.access(folder, os.W_OK):
        raise BadInput(f"out: {folder} cannot be written to")
    return folder


def keep_for_resume(folder: Path, track: RunTrack, *histories: str) -> None:
    """Upload what a resume needs, in case the working folder is gone by then.

    `histories` are files beside history.csv that a resumed training goes on with.
    """
    if track.away:  # each upload would wait for a server that does not answer
        say(f"the tracking server is away: what run {track.run_id} needs to go on is in {folder}")
        return
    try:
        for path in sorted((folder / CHECKPOINTS).glob("*.ckpt")):
            keep_checkpoint(path, track)
        for name in (HISTORY, *histories):
            if (folder / name).exists():
                track.artifact(folder / name)
        last = folder / CHECKPOINTS / LAST
        if last.exists():
            track.tags({"checkpoint.last.sha256": file_sha256(last)})
    except Exception as failure:  # what ended the training is the error to show
        say(f"warning: the checkpoints of run {track.run_id} stay in {folder} only ({failure})")


def keep_checkpoint(path: Path, track: RunTrack) -> str:
    """Upload a checkpoint and the digest beside it; its path inside the run's artifacts."""
    if sidecar(path).exists():
        track.artifact(sidecar(path), CHECKPOINTS)
    return track.artifact(path, CHECKPOINTS)


def last_checkpoint(folder: Path, run_id: str, desk: Desk) -> Path | None:
    """The checkpoint an interrupted training goes on from; None if it ended before its first.

    Where the working folder is gone, what the run kept is put there again, history included. Where
    the newest checkpoint is damaged, it is the one before.

    Raises
    ------
    BadInput
        If none is as it was written.
    """
    forget_partial(folder / CHECKPOINTS)
    facts = desk.track.history.run(run_id)
    recorded = facts.tags.get("checkpoint.last.sha256") if facts else None
    places = [folder / CHECKPOINTS / name for name in (LAST, PREVIOUS)]
    if recorded and not any(place.exists() for place in places):
        say(f"resume: fetching the checkpoints of run {run_id}")
        shutil.copytree(desk.track.history.fetch(run_id, ""), folder, dirs_exist_ok=True)
    elif not any(place.exists() for place in places):
        say(f"resume: run {run_id} ended before its first checkpoint; it begins again")
        return None
    found = {place: damage(place) for place in places}
    sound = next((place for place, problem in found.items() if problem is None), None)
    said = "; ".join(f"{place}: {problem}" for place, problem in found.items() if problem)
    if sound is None:
        raise BadInput(f"resume: run {run_id} has no sound checkpoint ({said})")
    if found[places[0]]:
        say(f"warning: resume: {places[0]} is damaged ({found[places[0]]}); going on from {sound}")
    return sound
