"""Score all inputs, one after the other: a part for each."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.spectra.ingest.formats import iter_any_scans
from priorwise.spectra.saved_model import SavedModel
from priorwise.spectra.score.candidates import Candidate, of_run, of_table
from priorwise.spectra.score.part import (
    PartNotes,
    PartWriter,
    notes_to_json,
)
from priorwise.spectra.score.partial import WORKSHOP, CannotWrite, finished
from priorwise.spectra.score.scorer import score_candidates
from priorwise.spectra.score.sources import Source
from priorwise.spectra.score.writers import needs_peaks
from priorwise.store.staging import staged_file
from priorwise.store.tables import ContentDigest, open_pinned

#: Th on either side of a precursor that the picture of a window shows
REACH = 3.0

Say = Callable[[str], object]
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Scoring:
    """All that decides the lines, beside the inputs.

    Attributes
    ----------
    model : SavedModel
    threshold : float
        A scan is identifiable from this probability on.
    dataset_id : str
        For the USIs; empty = as ingest chooses it.
    seed : int
        Of the choice of windows for pictures.
    key : mapping of str to str
        Tells this work from another one: digests of model and source.
    """

    model: SavedModel
    threshold: float
    dataset_id: str
    seed: int
    key: Mapping[str, str]

    def identity(self, source: Source, with_peaks: bool) -> str:
        """Digest of everything that the part of a source depends on."""
        what = [
            source.address,
            source.size,
            source.version,
            dict(sorted(self.key.items())),
            repr(self.threshold),
            self.dataset_id,
            self.seed,
            with_peaks,
        ]
        return hashlib.sha256(json.dumps(what).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def score_sources(
    sources: tuple[Source, ...],
    scoring: Scoring,
    out: Path,
    folder: Path,
    say: Say,
    progress: Progress,
) -> tuple[list[Path], list[PartNotes]]:
    """Score what no part is there of.

    Parameters
    ----------
    sources : tuple of Source
    scoring : Scoring
    out : pathlib.Path
    folder : pathlib.Path
        As `partial.workshop` gives it.
    say : callable
        Told which inputs were scored before.
    progress : callable
        Called with bytes read (or found done) since the last call.

    Returns
    -------
    parts : list of pathlib.Path
        One for each source, in order.
    notes : list of PartNotes
        The same.
    """
    parts, told = [], []
    with_peaks = needs_peaks(str(out))
    identities = [scoring.identity(source, with_peaks) for source in sources]
    before = [finished(folder, identity) for identity in identities]
    if n_before := sum(notes is not None for notes in before):
        say(f"going on: {n_before} of {len(sources)} input(s) were scored before")
    for source, identity, notes in zip(sources, identities, before, strict=True):
        path = folder / f"{identity}.arrow"
        if notes is None:
            notes = _score(source, scoring, with_peaks, path, folder / WORKSHOP, progress)
        else:
            progress(source.size)
        parts.append(path)
        told.append(notes)
    return parts, told


def _score(
    source: Source,
    scoring: Scoring,
    with_peaks: bool,
    path: Path,
    scratch: Path,
    progress: Progress,
) -> PartNotes:
    notes = PartNotes(source.address)
    unfinished = scratch / path.name
    try:
        _write_part(source, scoring, with_peaks, notes, unfinished, progress)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
        if not notes.damage:
            record = scratch / f"{path.stem}.json"
            record.write_text(notes_to_json(notes), encoding="utf-8")
            record.replace(path.with_suffix(".json"))
    except OSError as error:  # not the input's fault, so no damage of it
        raise CannotWrite(f"out: {path} cannot be written ({error.strerror or error})") from error
    return notes


def _write_part(
    source: Source,
    scoring: Scoring,
    with_peaks: bool,
    notes: PartNotes,
    unfinished: Path,
    progress: Progress,
) -> None:
    scratch = unfinished.parent
    writer = PartWriter(unfinished, with_peaks, scoring.seed, REACH)
    try:
        with _candidates(source, scoring, with_peaks, notes, scratch, progress) as candidates:
            sound = _up_to_damage(candidates, notes)
            for lines in score_candidates(sound, scoring.model, scoring.threshold):
                writer.add(lines)
    except BadInput as error:  # it could not be opened, or fetched
        notes.damage = str(error)
    finally:
        writer.close()
    notes.windows = writer.windows


def _up_to_damage(candidates: Iterator[Candidate], notes: PartNotes) -> Iterator[Candidate]:
    try:
        yield from candidates
    except BadInput as error:
        notes.damage = str(error)


@contextmanager
def _candidates(
    source: Source,
    scoring: Scoring,
    with_peaks: bool,
    notes: PartNotes,
    scratch: Path,
    progress: Progress,
) -> Iterator[Iterator[Candidate]]:
    modes, stats = scoring.model.modes, scoring.model.stats
    if source.is_table:
        table = open_pinned(source.address, int(source.version.split()[0]))
        notes.version, notes.rows = table.version, table.n_rows
        digest = ContentDigest(table.schema)
        rows = of_table(table, modes, scoring.dataset_id, digest)
        yield _evenly(rows, table.n_rows, source.size, progress)
        notes.digest = "" if notes.damage else digest.hexdigest()
        return
    if stats is None:
        raise BadInput(f"{source.address}: the model cannot z-score the settings of a run")

    def read(path: Path, on_bytes: Progress) -> Iterator[Candidate]:
        scans = iter_any_scans(path, scratch=scratch, on_bytes=on_bytes)
        return of_run(
            scans, source.address, scoring.dataset_id, modes, stats, notes.counts, with_peaks
        )

    if source.remote is None:
        yield read(Path(source.address), progress)
    else:
        with staged_file(source.remote, scratch) as copy:
            yield _renamed(read(copy, progress), str(copy), source.address)


def _renamed(candidates: Iterator[Candidate], copy: str, address: str) -> Iterator[Candidate]:
    """The candidates; an error names the object rather than the copy of it."""
    try:
        yield from candidates
    except BadInput as error:
        raise BadInput(str(error).replace(copy, address)) from error


def _evenly(
    rows: Iterator[Candidate], n_rows: int, size: int, progress: Progress
) -> Iterator[Candidate]:
    """The rows; their bytes are told evenly."""
    told = 0
    for number, row in enumerate(rows, start=1):
        yield row
        here = size * number // max(n_rows, 1)
        if here > told and (here - told > 1 << 16 or number == n_rows):
            progress(here - told)
            told = here
