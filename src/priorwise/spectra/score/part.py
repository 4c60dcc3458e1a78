"""The lines of one input on disk, and what is to be told of it: a finished part is never redone."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from priorwise.spectra.ingest.fragments import ScanCounts
from priorwise.spectra.score.candidates import Candidate
from priorwise.spectra.score.scorer import Line

LINE_SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("scan", pa.int32()),
        ("usi", pa.string()),
        ("polarity", pa.string()),
        ("precursor_mz", pa.float64()),  # Th
        ("probability", pa.float64()),
        ("identifiable", pa.bool_()),
        ("reason", pa.string()),
    ]
)
#: what an MGF needs beside
PEAK_FIELDS = [
    pa.field("charge", pa.int32()),
    pa.field("mz", pa.list_(pa.float64())),
    pa.field("intensity", pa.list_(pa.float64())),
]
#: scans of an input that are kept for pictures
POOL = 16


@dataclass(frozen=True)
class Window:
    """MS1 peaks round a precursor, kept for a picture.

    Attributes
    ----------
    usi : str
    precursor_mz, probability : float
    width : float or None
        Isolation width in Th, where known.
    mz, intensity : list of float
        Of the preprocessed MS1, within some Th of the precursor.
    """

    usi: str
    precursor_mz: float
    probability: float
    width: float | None
    mz: list[float]
    intensity: list[float]


@dataclass
class PartNotes:
    """What is told of one input.

    Attributes
    ----------
    address : str
    counts : ScanCounts
        Of a run.
    version, rows : int
        Of a Lance table.
    digest : str
        Of the content of a Lance table; empty for a run.
    damage : str
        Why it could not be read to its end; empty if it was.
    windows : list of Window
    """

    address: str
    counts: ScanCounts = field(default_factory=ScanCounts)
    version: int = 0
    rows: int = 0
    digest: str = ""
    damage: str = ""
    windows: list[Window] = field(default_factory=list)


class PartWriter:
    """Writes the lines of one input.

    Parameters
    ----------
    path : pathlib.Path
        The Arrow file.
    with_peaks : bool
        Keep the MS2 peaks, too.
    seed : int
        Of the choice of windows.
    reach : float
        Th on either side of the precursor that a window shows.
    """

    def __init__(self, path: Path, with_peaks: bool, seed: int, reach: float) -> None:
        self._schema = line_schema(with_peaks)
        self._with_peaks, self._reach = with_peaks, reach
        self._file = pa.OSFile(str(path), "wb")
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)
        self._random = np.random.default_rng(seed)
        self._n_scored = 0
        self.windows: list[Window] = []

    def add(self, lines: list[Line]) -> None:
        """Take in the next lines."""
        scans = [line.candidate for line in lines]
        columns: dict[str, list[Any]] = {
            "file": [encodable(c.file) for c in scans],
            "scan": [c.scan for c in scans],
            "usi": [encodable(c.usi) for c in scans],
            "polarity": [c.polarity for c in scans],
            "precursor_mz": [c.precursor_mz for c in scans],
            "probability": [line.probability for line in lines],
            "identifiable": [line.identifiable for line in lines],
            "reason": [c.reason for c in scans],
        }
        if self._with_peaks:
            peaks = [np.empty((0, 2)) if c.fragments is None else c.fragments for c in scans]
            columns["charge"] = [c.charge for c in scans]
            columns["mz"] = [array[:, 0] for array in peaks]
            columns["intensity"] = [array[:, 1] for array in peaks]
        self._writer.write_batch(pa.RecordBatch.from_pydict(columns, schema=self._schema))
        for line in lines:
            if line.probability is not None:
                self._keep(line.candidate, line.probability)

    def _keep(self, candidate: Candidate, probability: float) -> None:
        """Reservoir sampling (Vitter 1985, algorithm R): each scan is as likely to stay."""
        self._n_scored += 1
        slot = len(self.windows)
        if slot >= POOL:
            slot = int(self._random.integers(self._n_scored))
            if slot >= POOL:
                return
        precursor = float(candidate.precursor_mz or 0.0)
        near = np.abs(candidate.mz - precursor) <= self._reach
        window = Window(
            encodable(candidate.usi),
            precursor,
            probability,
            candidate.window,
            candidate.mz[near].tolist(),
            candidate.intensity[near].tolist(),
        )
        self.windows[slot : slot + 1] = [window]

    def close(self) -> None:
        """Close the file."""
        if not self._file.closed:
            self._writer.close()
            self._file.close()


def line_schema(with_peaks: bool) -> pa.Schema:
    """Columns of a part."""
    return pa.schema([*LINE_SCHEMA, *PEAK_FIELDS]) if with_peaks else LINE_SCHEMA


def encodable(text: str) -> str:
    """A file name as text that can be written, whatever bytes the system gave."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Text without the characters that would end a line or a field."""
    return "".join(" " if ord(c) < 32 or c in "\x7f\x85\u2028\u2029" else c for c in text)


def shown(text: str) -> str:
    """A text with file names in it, as a terminal or a table can show it."""
    return one_line(encodable(text))


def read_part(path: Path) -> Iterator[pa.RecordBatch]:
    """Batches of lines."""
    # not memory-mapped: mapped pages would count as memory of the process
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
        yield from reader


def read_parts(paths: Iterable[Path]) -> Iterator[pa.RecordBatch]:
    """Batches of lines of all parts, in order."""
    for path in paths:
        yield from read_part(path)


def notes_to_json(notes: PartNotes) -> str:
    """Serialise as JSON text."""
    return json.dumps(asdict(notes))


def notes_from_json(text: str) -> PartNotes:
    """Read what `notes_to_json` wrote."""
    found = json.loads(text)
    windows = [Window(**window) for window in found.pop("windows")]
    counts = ScanCounts(**found.pop("counts"))
    return PartNotes(**found, counts=counts, windows=windows)
