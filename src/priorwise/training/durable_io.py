"""How Lightning's checkpoints get to the disk and back: whole, with a digest, nothing that runs."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from priorwise.durable import damage, remove_with_digest, sidecar, write_with_digest
from priorwise.errors import BadInput
from priorwise.learn.plain_checkpoint import read_plain

#: the newest checkpoint, and the one before it: what a resume goes on from
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class DurableCheckpoints(TorchCheckpointIO):
    """Writes each checkpoint beside its place and renames it, and keeps the one before `last`.

    Lightning's own way goes through TMPDIR: where that is another file system, a full disk
    destroys the checkpoint that is replaced.

    What is to be removed stays until neither the newest checkpoint nor the one before it, which a
    resume may have to go on from, speaks of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._to_go: list[Path] = []
        self._soon: list[Path] = []

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises
        ------
        BadInput
            If it cannot be written; the one that was there is there still.
        """
        memory = io.BytesIO()
        torch.save(checkpoint, memory)
        target = Path(path)
        before = target.with_name(PREVIOUS) if target.name == LAST else None
        write_with_digest(target, memory.getbuffer(), before)
        if before:
            for path in self._to_go:
                remove_with_digest(path)
            self._to_go, self._soon = self._soon, []

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint whose digest is right, onto the CPU, as `read_plain` reads any.

        Raises
        ------
        BadInput
            If it is damaged, or holds more than tensors and plain values.
        """
        target = Path(path)
        if not sidecar(target).exists():  # others' checkpoints may have none; those resumed may not
            raise BadInput(f"{target}: is damaged ({damage(target)})")
        read: dict[str, Any] = read_plain(target)
        return read

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint and its digest, before long."""
        self._soon.append(Path(path))


def keep_only(folder: Path, *kept: Path) -> None:
    """Remove all checkpoints of a folder but these: what was to go, and what the killed left."""
    for path in folder.glob("*.ckpt"):
        if path.name not in {other.name for other in kept}:
            remove_with_digest(path)
