"""Where a training's numbers go: a protocol, and the CSV that is always written first."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from priorwise.learn.history_file import write_rows


class Recorder(Protocol):
    """Takes one row of metrics per epoch, and some between."""

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Record the metrics of epoch `step` (0-based)."""

    def step(self, metrics: Mapping[str, float], step: int) -> None:
        """Record metrics within an epoch, after so many steps of the training; quick."""


class NullRecorder:
    """Records nothing: the ranks of a distributed training that do not own the run."""

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Drop the metrics."""

    def step(self, metrics: Mapping[str, float], step: int) -> None:
        """Drop the metrics."""


class CsvHistory:
    """One line per epoch, on disk before anything is sent over a network.

    Parameters
    ----------
    path : pathlib.Path
        The file; its columns are those of the first epoch recorded.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def epoch(self, metrics: Mapping[str, float], step: int) -> None:
        """Write the line of epoch `step`; a line of the same or a later epoch is replaced.

        Replacing happens after a resume: the epochs redone supersede what was written.
        """
        earlier = [row for row in self.rows() if int(row["epoch"]) < step]
        columns = ["epoch", *(list(earlier[0])[1:] if earlier else metrics)]
        columns += [name for name in metrics if name not in columns]
        now = {"epoch": step, **{name: repr(float(value)) for name, value in metrics.items()}}
        write_rows(self.path, columns, [*earlier, now])

    def rows(self) -> list[dict[str, str]]:
        """The lines so far, as text."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as stream:
            return list(csv.DictReader(stream))
