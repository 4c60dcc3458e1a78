"""Files that are there whole or not at all, whatever kills the process or fills the disk."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from priorwise.errors import BadInput

#: what a file that is being written is called has this in it
PARTIAL = ".partial-"
#: a digest lies beside its file, in the form of `sha256sum`
SIDECAR = ".sha256"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    whole = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            whole.update(chunk)
    return whole.hexdigest()


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file anew; until it is on the disk, the one before stays.

    It is written beside its place, on the same file system whatever TMPDIR says, flushed to the
    disk, and renamed.

    Raises
    ------
    BadInput
        If it cannot be written, for example on a full disk.
    """
    partial = path.with_name(f".{path.name}{PARTIAL}{os.getpid()}")
    try:
        _fill(partial, content)
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _unwritten(path, content, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def forget_partial(folder: Path) -> None:
    """Remove what a killed writer of files in this folder left; there must be no other now."""
    for left in folder.glob(f".*{PARTIAL}*"):
        left.unlink(missing_ok=True)


def _fill(partial: Path, content: bytes | memoryview) -> None:
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _unwritten(path: Path, content: bytes | memoryview, error: OSError) -> BadInput:
    return BadInput(
        f"{path}: cannot be written ({error.strerror or error}; {len(content)} bytes); what was "
        "there before is kept"
    )


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_with_digest(path: Path, content: bytes | memoryview, before: Path | None = None) -> None:
    """Write a file and its digest beside it; at any moment there is one that fits its digest.

    Parameters
    ----------
    path : pathlib.Path
    content : bytes
    before : pathlib.Path, optional
        Where the file that is replaced is kept, if it is sound.

    Raises
    ------
    BadInput
        If it cannot be written; what was there is there still.
    """
    digest = hashlib.sha256(content).hexdigest()
    partial = path.with_name(f".{path.name}{PARTIAL}new")
    try:
        _fill(partial, content)
        if before is not None and damage(path) is None:
            _keep(path, before)
        # both are right until the file has changed
        _write_digests(path, digest, *_digests(path))
        partial.replace(path)
        sync_folder(path.parent)
        _write_digests(path, digest)
    except OSError as error:
        raise _unwritten(path, content, error) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def remove_with_digest(path: Path) -> None:
    """Remove a file, then its digest, if they are there."""
    path.unlink(missing_ok=True)
    sidecar(path).unlink(missing_ok=True)


def sidecar(path: Path) -> Path:
    """Where the digest of a file lies."""
    return path.with_name(path.name + SIDECAR)


def damage(path: Path) -> str | None:
    """Why a file is not the one that was written, with its size; None if it is.

    A file without a digest beside it is not trusted.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return content_damage(path, content)


def content_damage(path: Path, content: bytes) -> str | None:
    """As `damage`, of bytes that were read from `path`."""
    known = _digests(path)
    if not known:
        return f"{len(content)} bytes, with no readable digest in {sidecar(path).name} beside it"
    found = hashlib.sha256(content).hexdigest()
    if found in known:
        return None
    return f"{len(content)} bytes, sha256 {found[:12]}..., written was {known[0][:12]}..."


def _digests(path: Path) -> list[str]:
    try:
        lines = sidecar(path).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    words = [line.partition(" ")[0] for line in lines]
    return [word for word in words if len(word) == 64]


def _write_digests(path: Path, *digests: str) -> None:
    text = "".join(f"{digest}  {path.name}\n" for digest in dict.fromkeys(digests))
    write_whole(sidecar(path), text.encode())


def _keep(path: Path, before: Path) -> None:
    """Give a sound file another name as well, with its digest."""
    _write_digests(before, *_digests(path), *_digests(before))
    partial = before.with_name(f".{before.name}{PARTIAL}link")
    partial.unlink(missing_ok=True)
    try:
        os.link(path, partial)
    except OSError:  # no links here; then `path` is away until the new one has its name
        path.replace(before)
    else:
        partial.replace(before)
    _write_digests(before, _digests(path)[0])
