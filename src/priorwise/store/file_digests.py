"""Digests of a table's files, written with it: Lance itself reads a flipped byte in silence.

A table that the project wrote has a list of them, in the form of `sha256sum`, which also tells what
was damaged: `cd TABLE; sha256sum -c _files.sha256`. Files of later versions are not in it.
"""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from priorwise.durable import file_sha256, sync_folder, write_whole
from priorwise.errors import BadInput

#: the list, within the table's folder
LIST = "_files.sha256"
#: begins its last line: the digest of those before; `sha256sum` takes it for a comment
END = "# "
#: rewritten with every version, and read by nobody who pins one
NOT_LISTED = {"latest_version_hint.json", LIST}
#: what was found right before, by the table's place; of this user's work, like all in .priorwise
CHECKED = Path(".priorwise", "checked")

#: size in bytes, time of the last change in ns, inode, sha256
Known = list[Any]


def write_digests(folder: Path) -> None:
    """List the files of a new table, and have them on the disk."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name in NOT_LISTED:
            continue
        lines.append(f"{file_sha256(path)}  {path.relative_to(folder).as_posix()}\n")
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    for inner in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync_folder(inner)
    text = "".join(lines)
    write_whole(folder / LIST, f"{text}{END}{_of(text)}\n".encode())


def read_digests(folder: Path) -> dict[str, str]:
    """Digest by the path of a file within the table; empty if there is no list.

    Raises
    ------
    BadInput
        If the list itself is damaged.
    """
    try:
        text = (folder / LIST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{folder / LIST}: cannot be read ({error})") from error
    lines, end, digest = text.rpartition(END)
    if not end or digest != f"{_of(lines)}\n":
        raise BadInput(f"{folder / LIST}: is damaged (its lines are not those that were written)")
    pairs = (line.partition("  ") for line in lines.splitlines())
    digests = {name: digest for digest, _, name in pairs}
    for name in digests:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise BadInput(f"{folder / LIST}: names {name!r}, which is not in the table")
    return digests


def _of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def check_manifests(folder: Path) -> None:
    """Compare what says which files a version has; before Lance reads it.

    Raises
    ------
    BadInput
        Naming the file that has changed.
    """
    for name, digest in read_digests(folder).items():
        path = folder / name
        if not name.startswith("_versions/"):
            continue
        try:
            if not path.exists():
                continue
            _refuse_irregular(path)
            if file_sha256(path) != digest:
                raise BadInput(f"{path}: is damaged (its sha256 is not the one that was written)")
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error


def _refuse_irregular(path: Path) -> None:
    """Refuse a device or a pipe: it would be read without end."""
    if not path.is_file():
        raise BadInput(f"{path}: is no regular file")


class CheckedFiles:
    """What was found right of one table; kept beside the work, so that nothing is read twice.

    Parameters
    ----------
    folder : pathlib.Path
        Of the table; absolute.
    """

    def __init__(self, folder: Path | str) -> None:
        key = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
        self._path = CHECKED / f"{key}.json"
        self._files: dict[str, Known] = {}
        self._contents: dict[str, str] = {}
        self._changed = False
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
            self._files, self._contents = dict(kept["files"]), dict(kept["contents"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # then everything is read once more

    def sha256(self, path: Path, full: bool) -> str:
        """Digest of a file; not read again if its size, time and inode are the same.

        Parameters
        ----------
        path : pathlib.Path
        full : bool
            Read it anyway.
        """
        _refuse_irregular(path)
        now = path.stat()
        seen: Known = [now.st_size, now.st_mtime_ns, now.st_ino]
        known = self._files.get(str(path))
        if not full and isinstance(known, list) and known[:3] == seen and len(known) == 4:
            return str(known[3])
        digest = file_sha256(path)
        self._files[str(path)] = [*seen, digest]
        self._changed = True
        return digest

    def recorded(self, what: str) -> str:
        """What `first` was told of it first; empty if nothing."""
        return self._contents.get(what, "")

    def first(self, what: str, digest: str) -> str:
        """Digest of something that never changes when it was seen first; this, if that is now."""
        if what not in self._contents:
            self._contents[what] = digest
            self._changed = True
        return self._contents[what]

    def keep(self) -> None:
        """Write down what was found; where that cannot be done, all is read again next time."""
        if not self._changed:
            return
        text = json.dumps({"files": self._files, "contents": self._contents})
        try:
            write_whole(self._path, text.encode())
        except BadInput:
            return
        self._changed = False

    @property
    def place(self) -> Path:
        """Where it is kept."""
        return self._path
