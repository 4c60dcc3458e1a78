"""Files of `torch.save` that hold tensors and plain values: nothing in them runs, or explodes."""

import io
import pickletools
import re
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch

from priorwise.durable import content_damage, sidecar
from priorwise.errors import BadInput
from priorwise.learn.network_folder import first_line

#: plain values in one file, each counted as often as it is reached, and how deep they may lie
MAX_VALUES, MAX_DEPTH = 2_000_000, 100
#: torch lets a file call these; with a number they take any amount of memory
GREEDY = frozenset({"builtins bytearray", "__builtin__ bytearray"})


def read_plain(path: Path) -> Any:
    """Content of a file that `torch.save` wrote, if it holds tensors and plain values only.

    Its digest is compared where one lies beside it (FILE.sha256, as `sha256sum` writes it).

    Parameters
    ----------
    path : pathlib.Path
        A local file, in the zip form that torch writes since version 1.6.

    Raises
    ------
    BadInput
        If it is no such file, is damaged, would take more memory than it has bytes, or holds
        anything else: nothing in it is run.
    """
    if re.match(r"[a-z][a-z0-9+.-]*:/", str(path)):
        raise BadInput(f"{path}: expected a local file; an address is not loaded")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    found = content_damage(path, data) if sidecar(path).exists() else None
    if found:
        raise BadInput(f"{path}: is damaged ({found})")
    try:
        _check_archive(path, data)
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except BadInput:
        raise
    except (
        *(OSError, EOFError, RuntimeError, BadZipFile, KeyError, TypeError, ValueError),
        *(AttributeError, IndexError, AssertionError, MemoryError, NotImplementedError),
        *(OverflowError,),
    ) as error:
        raise BadInput(
            f"{path}: not a readable checkpoint ({len(data)} bytes; {first_line(error)})"
        ) from error
    except Exception as error:  # the unpickler's own error class needs an import of pickle
        raise BadInput(f"{path}: holds more than tensors and numbers; refused") from error
    _check_size(content, path)
    return content


def _check_archive(path: Path, data: bytes) -> None:
    """Refuse, before it is loaded, an archive that expands: torch stores, it never compresses."""
    if not data:
        raise BadInput(f"{path}: not a readable checkpoint (0 bytes)")
    with ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        squeezed = [member.filename for member in members if member.compress_type != ZIP_STORED]
        if squeezed or sum(member.file_size for member in members) > len(data):
            what = squeezed[0] if squeezed else "its parts together"
            raise BadInput(
                f"{path}: not a readable checkpoint ({what[:100]} would expand; torch.save does "
                "not compress)"
            )
        for member in members:
            if member.filename.endswith("/data.pkl"):
                _check_calls(archive.read(member), path)


def _check_calls(program: bytes, path: Path) -> None:
    for operation, argument, _ in pickletools.genops(program):
        if operation.name == "GLOBAL" and argument in GREEDY:
            raise BadInput(f"{path}: holds more than tensors and numbers; refused")


def _check_size(content: Any, path: Path) -> None:
    """Refuse what is small in the file and endless to walk through: lists that hold each other."""
    rest, n = [(content, 0)], 0
    while rest:
        value, depth = rest.pop()
        n += 1
        if n > MAX_VALUES or depth > MAX_DEPTH:
            raise BadInput(f"{path}: not a readable checkpoint (its values are nested endlessly)")
        if isinstance(value, dict):
            rest += [(part, depth + 1) for pair in value.items() for part in pair]
        elif isinstance(value, list | tuple | set | frozenset):
            rest += [(part, depth + 1) for part in value]
