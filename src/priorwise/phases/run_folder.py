"""Where a training works: checkpoints and history of one run, kept so that it can be continued."""

import os
import shutil
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.phases.desk import WORK_FOLDER, Desk, say
from priorwise.tracking.fingerprint import file_sha256
from priorwise.tracking.runs import RunTrack

#: the newest checkpoint, in a run's working folder and among its artifacts
LAST = "checkpoints/last.ckpt"
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
        for path in sorted((folder / "checkpoints").glob("*.ckpt")):
            track.artifact(path, "checkpoints")
        for name in (HISTORY, *histories):
            if (folder / name).exists():
                track.artifact(folder / name)
        if (folder / LAST).exists():
            track.tags({"checkpoint.last.sha256": file_sha256(folder / LAST)})
    except Exception as failure:  # what ended the training is the error to show
        say(f"warning: the checkpoints of run {track.run_id} stay in {folder} only ({failure})")


def last_checkpoint(folder: Path, run_id: str, desk: Desk) -> Path | None:
    """The checkpoint an interrupted training goes on from; None if it ended before its first.

    Where the working folder is gone, what the run kept is put there again, history included.

    Raises
    ------
    BadInput
        If the checkpoint is not the one the run recorded.
    """
    last, facts = folder / LAST, desk.track.history.run(run_id)
    recorded = facts.tags.get("checkpoint.last.sha256") if facts else None
    if recorded and not last.exists():
        say(f"resume: fetching the checkpoints of run {run_id}")
        shutil.copytree(desk.track.history.fetch(run_id, ""), folder, dirs_exist_ok=True)
        if file_sha256(last) != recorded:
            raise BadInput(f"resume: {LAST} of run {run_id} was changed since it was written")
    if last.exists():
        return last
    say(f"resume: run {run_id} ended before its first checkpoint; it begins again")
    return None
