"""What came of a scoring: counts per input, per reason and per polarity."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from priorwise.spectra.ingest.reasons import REASONS
from priorwise.spectra.score.part import PartNotes, Window, encodable, read_part, shown
from priorwise.spectra.score.sources import Source


@dataclass
class Counts:
    """Scans of one input, or of all.

    Attributes
    ----------
    n : int
        MS2 scans.
    n_scorable : int
        Those with a probability.
    n_kept : int
        Those called identifiable.
    scored : Counter
        Scans with a probability, by polarity.
    reasons : Counter
        Scans that cannot be scored, by reason.
    """

    n: int = 0
    n_scorable: int = 0
    n_kept: int = 0
    scored: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        """Take in those of another input."""
        self.n += other.n
        self.n_scorable += other.n_scorable
        self.n_kept += other.n_kept
        self.scored.update(other.scored)
        self.reasons.update(other.reasons)

    @property
    def share_kept(self) -> float:
        """Kept scans per scorable scan; NaN if there is none."""
        return self.n_kept / self.n_scorable if self.n_scorable else float("nan")

    def expected_recall(self, recall: Mapping[str, float]) -> float | None:
        """Share of identifiable scans that should be kept, given that of each polarity.

        Weighted by the scored scans of each; None where it is not known of all of them.
        """
        known = [recall[mode] * n for mode, n in self.scored.items() if mode in recall]
        if not known or len(known) < len(self.scored):
            return None
        return sum(known) / self.n_scorable

    def in_words(self, what: str, expected: Mapping[str, float]) -> str:
        """One line for the user.

        Parameters
        ----------
        what : str
            Name of the input.
        expected : mapping of polarity -> float
            Share of identifiable scans that the model was seen to keep; empty if not known.
        """
        recall = self.expected_recall(expected)
        line = f"{shown(what)}: {self.n:,} scans, {self.n_scorable:,} scorable"
        if self.n_scorable:
            line += f"; kept {100 * self.share_kept:.1f} % of these"
            if recall is not None:
                line += f"; expected to keep {100 * recall:.1f} % of identifiable ones"
        if self.reasons:
            why = ", ".join(f"{reason} {n:,}" for reason, n in _in_order(self.reasons))
            line += f" (not scorable: {why})"
        return line


@dataclass
class Summary:
    """What came of all inputs.

    Attributes
    ----------
    inputs : list of (Source, PartNotes, Counts)
        In order.
    total : Counts
    probabilities : dict of polarity -> numpy.ndarray of float32
        Of all scored scans.
    """

    inputs: list[tuple[Source, PartNotes, Counts]]
    total: Counts
    probabilities: dict[str, NDArray[np.float32]]

    @property
    def damaged(self) -> list[PartNotes]:
        """Inputs that could not be read to their end."""
        return [notes for _, notes, _ in self.inputs if notes.damage]

    def table(self) -> pd.DataFrame:
        """One line for each input: scans, scorable, kept, and scans by reason."""
        rows = [
            {
                "file": encodable(source.address),
                "scans": counts.n,
                "scorable": counts.n_scorable,
                "kept": counts.n_kept,
                "share_kept": counts.share_kept,
                **{reason: counts.reasons.get(reason, 0) for reason in REASONS},
                "damage": encodable(notes.damage),
            }
            for source, notes, counts in self.inputs
        ]
        return pd.DataFrame(rows)

    def windows(self, n: int) -> list[Window]:
        """`n` scans from the lowest to the highest probability, evenly spread over the ranks."""
        pool = [window for _, notes, _ in self.inputs for window in notes.windows]
        pool.sort(key=lambda window: (window.probability, window.usi))
        if len(pool) <= n:
            return pool
        ranks = np.linspace(0, len(pool) - 1, n).round().astype(int)
        return [pool[rank] for rank in ranks]


def summarise(sources: tuple[Source, ...], parts: list[Path], notes: list[PartNotes]) -> Summary:
    """Count the lines of all parts.

    Parameters
    ----------
    sources : tuple of Source
    parts : list of pathlib.Path
    notes : list of PartNotes
        One of each for every source.
    """
    total, inputs = Counts(), []
    scores: dict[str, array[float]] = {}
    for source, part, told in zip(sources, parts, notes, strict=True):
        counts = Counts()
        for batch in read_part(part):
            columns = batch.select(["polarity", "probability", "identifiable", "reason"])
            for row in columns.to_pylist():
                counts.n += 1
                if row["reason"]:
                    counts.reasons[row["reason"]] += 1
                else:
                    counts.n_scorable += 1
                    counts.n_kept += row["identifiable"]
                    counts.scored[row["polarity"]] += 1
                    scores.setdefault(row["polarity"], array("f")).append(row["probability"])
        total.add(counts)
        inputs.append((source, told, counts))
    found = {mode: np.array(values, dtype=np.float32) for mode, values in sorted(scores.items())}
    return Summary(inputs, total, found)


def _in_order(reasons: Counter[str]) -> list[tuple[str, int]]:
    return [(reason, reasons[reason]) for reason in REASONS if reasons[reason]]
