"""The folder of unfinished work beside `out`, and how `out` comes into place whole.

Finished inputs are kept as parts in `<out>.partial/`, so that a killed scoring goes on where it
was. The folder is removed once the file is in place. Nothing is written anywhere else.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.spectra.score.part import PartNotes, notes_from_json
from priorwise.spectra.score.writers import writer_of

WORKSHOP = "work"
_PART = re.compile(r"[0-9a-f]{32}\.(arrow|json)")


class CannotWrite(BadInput):
    """The disk does not take the output."""


def partial_folder(out: Path) -> Path:
    """Where the parts of `out` lie meanwhile."""
    return out.with_name(f"{out.name}.partial")


@contextmanager
def workshop(out: Path) -> Iterator[Path]:
    """The folder of the parts, for one process at a time.

    Raises
    ------
    BadInput
        If another process is at it, or it cannot be made.
    """
    folder = partial_folder(out)
    try:
        if folder.is_symlink():
            raise BadInput(f"out: {folder} is a link (expected a folder of this program's own)")
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / "lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise BadInput(f"out: {folder} cannot be made ({error.strerror})") from error
    try:
        try:
            fcntl.flock(
                lock, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # let go by the kernel, whatever kills us
            # one that has just finished may have removed what we opened
            if not os.path.samestat(os.fstat(lock), os.stat(place)):
                raise FileNotFoundError(place)
        except OSError as error:
            raise BadInput(f"out: another process is writing {out} ({folder} is locked)") from error
        shutil.rmtree(folder / WORKSHOP, ignore_errors=True)  # of one that was killed
        try:
            (folder / WORKSHOP).mkdir()
        except OSError as error:
            raise CannotWrite(
                f"out: {folder / WORKSHOP} cannot be made ({error.strerror})"
            ) from error
        yield folder
    finally:
        os.close(lock)


def finished(folder: Path, identity: str) -> PartNotes | None:
    """Notes of a finished part; they are written after it, as the last thing."""
    if not (folder / f"{identity}.arrow").is_file():
        return None
    try:
        return notes_from_json((folder / f"{identity}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def put_in_place(
    out: Path,
    parts: list[Path],
    folder: Path,
    before: Callable[[Path], object] = lambda whole: None,
) -> None:
    """Write the file of all parts and rename it into place.

    Parameters
    ----------
    out : pathlib.Path
    parts : list of pathlib.Path
    folder : pathlib.Path
        As `workshop` gives it.
    before : callable, optional
        Called with the finished file just before it is renamed.

    Raises
    ------
    CannotWrite
        If the disk does not take it.
    """
    whole = folder / WORKSHOP / f"out{out.suffix}"
    try:
        writer_of(out.name)(whole, parts)
        with whole.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise CannotWrite(f"out: {out} cannot be written ({error.strerror or error})") from error
    before(whole)
    try:
        whole.replace(out)
    except OSError as error:
        raise CannotWrite(f"out: {out} cannot be written ({error.strerror or error})") from error


def clear(out: Path) -> None:
    """Remove the parts, and their folder if nobody else put something there."""
    folder = partial_folder(out)
    shutil.rmtree(folder / WORKSHOP, ignore_errors=True)
    for path in folder.glob("*"):
        if path.name == "lock" or _PART.fullmatch(path.name):
            path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
