"""Arrays packed into files once, and mapped into memory ever after: a cache beside a table.

A pack is a folder with one raw file for each array and a header that is written last. It is made in
a folder of another name and renamed, so whoever is killed meanwhile, or makes the same pack at the
same time, does no harm. It is keyed by the digest of what it holds: it is right or it is not there.
"""

import glob
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import psutil
from numpy.typing import NDArray

from priorwise.errors import BadInput

HEADER = "header.json"
_PARTIAL = ".partial-"

Arrays = dict[str, NDArray[Any]]


def pack(folder: Path, chunks: Iterable[Mapping[str, NDArray[Any]]]) -> Path:
    """Write arrays chunk by chunk, unless they are there already.

    Parameters
    ----------
    folder : pathlib.Path
        Of the pack; its name is the key.
    chunks : iterable of mappings from names to arrays
        Each has the same names, types and inner shapes; appended along the first axis. Not touched
        if the pack is there.

    Returns
    -------
    pathlib.Path
        `folder`.

    Raises
    ------
    BadInput
        If it cannot be written, for example on a full disk.
    """
    if is_packed(folder):
        return folder
    partial = folder.parent / f"{_of_this_host()}{os.getpid()}-{uuid.uuid4().hex[:8]}"
    try:
        partial.mkdir(parents=True)
        _forget_the_killed(folder.parent)
        header = _append(partial, chunks)
        with (partial / HEADER).open("w", encoding="utf-8") as stream:
            json.dump(header, stream)
            stream.flush()
            os.fsync(stream.fileno())
        if is_packed(folder):  # somebody was quicker, and may be reading it
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            partial.rename(folder)
        except OSError:
            if not is_packed(folder):
                raise
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def is_packed(folder: Path) -> bool:
    """Whether a whole pack is there: a header, and files of the sizes that it says."""
    try:
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        return all(
            (folder / f"{name}.bin").stat().st_size == _n_bytes(form)
            for name, form in header.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def open_packed(folder: Path) -> Arrays:
    """The arrays of a pack, mapped: pages are read when they are touched, and can be dropped again.

    They can be written to, which changes this process's copy alone.

    Raises
    ------
    BadInput
        If there is no whole pack.
    """
    if not is_packed(folder):
        raise BadInput(f"{folder}: no whole pack (it is made anew if you remove it)")
    header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
    return {name: _mapped(folder / f"{name}.bin", form) for name, form in header.items()}


def _mapped(path: Path, form: dict[str, Any]) -> NDArray[Any]:
    shape, dtype = tuple(form["shape"]), np.dtype(form["dtype"])
    if 0 in shape:
        return np.empty(shape, dtype)  # nothing cannot be mapped
    return np.memmap(path, dtype=dtype, mode="c", shape=shape)


def _append(folder: Path, chunks: Iterable[Mapping[str, NDArray[Any]]]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    files: dict[str, BinaryIO] = {}
    try:
        for chunk in chunks:
            for name, array in chunk.items():
                if name not in files:
                    files[name] = (folder / f"{name}.bin").open("wb")
                    header[name] = {"dtype": array.dtype.str, "shape": [0, *array.shape[1:]]}
                form = header[name]
                if (array.dtype.str, list(array.shape[1:])) != (form["dtype"], form["shape"][1:]):
                    raise ValueError(f"{name}: a chunk of another type or shape than the first")
                files[name].write(np.ascontiguousarray(array).data)
                form["shape"][0] += len(array)
        for stream in files.values():
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        for stream in files.values():
            stream.close()
    return header


def _n_bytes(form: dict[str, Any]) -> int:
    return int(np.prod(form["shape"], dtype=np.int64)) * np.dtype(form["dtype"]).itemsize


def _of_this_host() -> str:
    """What folders that are being filled begin with; other hosts may share the disk."""
    return f"{_PARTIAL}{socket.gethostname()}-"


def _forget_the_killed(folder: Path) -> None:
    """Remove what processes of this host left that are no more."""
    for left in folder.glob(f"{glob.escape(_of_this_host())}*"):
        owner = left.name.removeprefix(_of_this_host()).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
