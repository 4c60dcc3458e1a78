"""Checkpoints as any phase reads them: undamaged, and nothing but tensors and plain values."""

import io
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from priorwise.durable import content_damage, sidecar
from priorwise.errors import BadInput
from priorwise.learn.network_folder import first_line


def read_plain(path: Path) -> Any:
    """Content of a file that `torch.save` wrote, if it holds tensors and plain values only.

    Its digest is compared where one lies beside it (FILE.sha256, as `sha256sum` writes it).

    Raises
    ------
    BadInput
        If it is no such file, is damaged, or holds anything else: nothing in it is run.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    found = content_damage(path, content) if sidecar(path).exists() else None
    if found:
        raise BadInput(f"{path}: is damaged ({found})")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, BadZipFile, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: not a readable checkpoint ({len(content)} bytes; {first_line(error)})"
        ) from error
    except Exception as error:  # the unpickler's own error class needs an import of pickle
        raise BadInput(f"{path}: holds more than tensors and numbers; refused") from error
