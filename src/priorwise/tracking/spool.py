"""The local copy of a run's metrics: each row is on disk before a server hears of it.

A CSV file in the run's folder. Its first row names the run; each row ends with a checksum, so that
a damaged one is noticed; a last row that was cut short by a crash is left out.
"""

import csv
import io
import os
import threading
import time
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Metric, RunTag

from priorwise.durable import sync_folder
from priorwise.errors import BadInput, TrackingFailure
from priorwise.learn.history_file import read_rows
from priorwise.tracking.secrets import scrub

SPOOL = "spool.csv"
COLUMNS = ("kind", "key", "value", "timestamp", "step", "check")
#: kinds of rows
RUN, METRIC, TAG, ENDED = "run", "metric", "tag", "ended"


@dataclass(frozen=True)
class Spooled:
    """What a spool holds.

    Attributes
    ----------
    path : pathlib.Path
    run_id : str
        The run that the rows are of.
    store : str
        Where its server was, without secrets.
    metrics : list of mlflow.entities.Metric
        As they were recorded, each (key, step) once.
    tags : dict
        The last value of each tag.
    ended : dict
        Tags that say how the training ended; empty while it runs, after a kill and on success.
    dropped : str
        Why the last row was left out; empty if it was not.
    """

    path: Path
    run_id: str
    store: str
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    dropped: str = ""


class Spool:
    """Writes the file; one that is there already is continued.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made if needed.
    run_id : str
    store : str
        Address of the tracking store.

    Attributes
    ----------
    earlier : Spooled
        What was in the file before.

    Raises
    ------
    BadInput
        If the file is of another run, or damaged.
    TrackingFailure
        If it cannot be written.
    """

    def __init__(self, path: Path, run_id: str, store: str) -> None:
        self.path = path
        self._lock, self._syncing = threading.Lock(), threading.Lock()
        self._unsynced = False
        self.earlier = Spooled(path, run_id, scrub(store))
        if path.exists() and path.stat().st_size:
            self.earlier = read_spool(path)
            if self.earlier.run_id != run_id:
                raise BadInput(f"{path}: is of run {self.earlier.run_id} (expected {run_id})")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = path.open("ab", buffering=0)
            _cut_half_a_row(path)
            if not path.stat().st_size:
                self._append([",".join(COLUMNS), _row(RUN, run_id, scrub(store), _now(), 0)])
                self.sync()
                sync_folder(path.parent)
        except OSError as error:
            raise self._unwritable(error) from error

    def write(self, metrics: Sequence[Metric], tags: Sequence[RunTag] = ()) -> None:
        """Append rows; they are surely on disk after the next `sync`.

        Raises
        ------
        TrackingFailure
            If the disk is full, or the like.
        """
        rows = [_row(METRIC, m.key, repr(m.value), m.timestamp, m.step) for m in metrics]
        rows += [_row(TAG, tag.key, tag.value, _now(), 0) for tag in tags]
        try:
            self._append(rows)
        except OSError as error:
            raise self._unwritable(error) from error

    def ended(self, tags: dict[str, str]) -> None:
        """Note how the training ended, in case the server does not hear of it."""
        self._append([_row(ENDED, key, scrub(value), _now(), 0) for key, value in tags.items()])
        self.sync()

    def sync(self) -> None:
        """Return when every row so far is on disk.

        Raises
        ------
        TrackingFailure
            If it cannot be written.
        """
        with self._syncing:
            with self._lock:
                pending, self._unsynced = self._unsynced, False
            if pending:
                try:
                    os.fsync(self._stream.fileno())
                except OSError as error:
                    raise self._unwritable(error) from error

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _append(self, rows: list[str]) -> None:
        if rows:
            with self._lock:
                content = "".join(f"{row}\n" for row in rows).encode()
                handle = self._stream.fileno()
                whole = os.fstat(handle).st_size
                try:
                    while content:
                        content = content[self._stream.write(content) :]
                except OSError:
                    with suppress(OSError):  # what comes next must not follow half a row
                        os.ftruncate(handle, whole)
                    raise
                self._unsynced = True

    def _unwritable(self, error: OSError) -> TrackingFailure:
        why = error.strerror or str(error)
        return TrackingFailure(f"{self.path}: the metrics cannot be written to disk ({why})")


def read_spool(path: Path) -> Spooled:
    """Read a spool, also one that is being written.

    Raises
    ------
    BadInput
        If it is none, or a row is damaged; naming the line.
    """
    file = read_rows(path)
    file.require(COLUMNS)
    rows = []
    for row, line in zip(file.rows, file.lines, strict=True):
        fields = [row[name] for name in COLUMNS[:-1]]
        if row["check"] != _check(fields):
            raise BadInput(
                f"{path}: line {line} is damaged (its checksum does not fit); to go on without "
                "the file, move it away"
            )
        rows.append(fields)
    if not rows or rows[0][0] != RUN:
        raise BadInput(f"{path}: is no spool (expected a first row that names a run)")
    metrics: dict[tuple[str, int], Metric] = {}
    others: dict[str, dict[str, str]] = {TAG: {}, ENDED: {}}
    for kind, key, value, timestamp, step in rows[1:]:
        if kind == METRIC:
            # the first one is what the server may know already
            known = (key, int(step))
            metrics.setdefault(known, Metric(key, float(value), int(timestamp), int(step)))
            others[ENDED] = {}  # taken up again since
        elif kind in others:
            others[kind][key] = value
    tags, ended = others[TAG], others[ENDED]
    return Spooled(path, rows[0][1], rows[0][2], list(metrics.values()), tags, ended, file.dropped)


def _row(kind: str, key: str, value: str, timestamp: int, step: int) -> str:
    # one line a row: a value with line breaks would look like several rows after a crash
    fields = [kind, key, " ".join(value.splitlines()), str(timestamp), str(step)]
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([*fields, _check(fields)])
    return out.getvalue()


def _check(fields: Sequence[str]) -> str:
    return f"{zlib.crc32(chr(31).join(fields).encode()):08x}"


def _now() -> int:
    return int(time.time() * 1000)


def _cut_half_a_row(path: Path) -> None:
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
