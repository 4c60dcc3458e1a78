"""How well pair probabilities rank and how true they are, over the cells of many sequences.

A cell is a pair of positions that could pair: i < j, j - i >= 4. All numbers here are *micro*: of
the cells of all sequences together, so they say nothing about structures (`scoring`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from priorwise.rna.structure import MIN_LOOP

#: bins of the log-odds of a probability, and where the outermost begin
BINS, END = 2**14, 16.0
#: bins of equal width that reliability is looked at in
RELIABILITY_BINS = 20


class Cells(NamedTuple):
    """Probabilities of the cells of one sequence, and which of them are true pairs."""

    probability: NDArray[np.floating]
    paired: NDArray[np.bool_]


def cells_of(probabilities: NDArray[np.floating], pairs: NDArray[np.integer]) -> Cells:
    """The cells of one sequence.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (L, L)
        Symmetric; only the upper triangle is read. Of the bases alone: no padding, no specials.
    pairs : numpy.ndarray of shape (n_pairs, 2)
        True pairs, 0-based, i < j; those closer than 4 are no cells, and are left out.
    """
    length = probabilities.shape[0]
    upper = np.triu_indices(length, MIN_LOOP + 1)
    paired = np.zeros((length, length), bool)
    paired[pairs[:, 0], pairs[:, 1]] = True
    return Cells(probabilities[upper], paired[upper])


def average_precision(cells: Iterable[Cells]) -> float:
    """Exact average precision over all cells: sum over thresholds of (recall step) * precision.

    Cells below the lowest probability of a true pair are counted by nothing, and of the others
    only how many lie at or above each true pair's: memory grows with the true pairs only, when the
    cells are in a list.

    Parameters
    ----------
    cells : iterable of Cells
        Of each sequence.

    Returns
    -------
    float
        In [0, 1]; nan without true pairs.
    """
    of_each = list(cells)
    pairs = np.sort(np.concatenate([c.probability[c.paired] for c in of_each] or [np.empty(0)]))
    if not pairs.size:
        return float("nan")
    thresholds, found = np.unique(pairs, return_counts=True)
    counted = np.zeros(thresholds.size, np.int64)
    for c in of_each:
        above = c.probability[c.probability >= thresholds[0]]
        places = np.searchsorted(thresholds, above, side="right") - 1
        counted += np.bincount(places, minlength=thresholds.size)
    at_least = np.cumsum(counted[::-1])[::-1]
    true_at_least = np.cumsum(found[::-1])[::-1]
    return float((found * (true_at_least / at_least)).sum() / pairs.size)


@dataclass(frozen=True)
class CellCounts:
    """Counts of cells by probability; they add up over sequences in memory of one size.

    Attributes
    ----------
    by_logit : numpy.ndarray of shape (2, BINS), int64
        Cells that are no pair, and pairs, by the log-odds of their probability, from -END to END;
        bins are .002 wide, so that thresholds are good to .0005.
    by_probability : numpy.ndarray of shape (3, RELIABILITY_BINS), float64
        Cells, sum of their probabilities, and pairs, by probability.
    """

    by_logit: NDArray[np.int64]
    by_probability: NDArray[np.float64]

    @classmethod
    def zero(cls) -> "CellCounts":
        """Return the counts of no cells."""
        return cls(np.zeros((2, BINS), np.int64), np.zeros((3, RELIABILITY_BINS)))

    @classmethod
    def of(cls, cells: Cells) -> "CellCounts":
        """Count the cells of a sequence, or of many at once.

        Raises
        ------
        ValueError
            If a probability is not in [0, 1].
        """
        p = cells.probability.astype(np.float64)
        if not ((p >= 0) & (p <= 1)).all():
            raise ValueError("probabilities: expected numbers in [0, 1]")
        places = _bin_of(p)
        by_logit = np.stack(
            [np.bincount(places[of], minlength=BINS) for of in (~cells.paired, cells.paired)]
        )
        tenths = np.minimum((p * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
        weights = (None, p, cells.paired.astype(np.float64))
        sums = [np.bincount(tenths, w, minlength=RELIABILITY_BINS) for w in weights]
        return cls(by_logit.astype(np.int64), np.stack(sums).astype(np.float64))

    def __add__(self, other: "CellCounts") -> "CellCounts":
        """Count the cells of both."""
        return CellCounts(
            self.by_logit + other.by_logit, self.by_probability + other.by_probability
        )

    def curve(self, points: int = 400) -> dict[str, NDArray[np.float64]]:
        """Precision and recall over the threshold.

        Parameters
        ----------
        points : int
            At most so many, evenly spread over recall; 2 or more.

        Returns
        -------
        dict of str -> numpy.ndarray of shape (n_points,)
            threshold (descending), recall (ascending) and precision, of cells at or above it; empty
            without true pairs.
        """
        cells, pairs = (np.cumsum(c[::-1]) for c in (self.by_logit.sum(axis=0), self.by_logit[1]))
        steps = np.flatnonzero(self.by_logit[1][::-1])  # elsewhere recall stays as it is
        if not steps.size:
            nothing = np.empty(0)
            return {"threshold": nothing, "recall": nothing, "precision": nothing}
        recall = pairs[steps] / pairs[-1]
        if steps.size > points:
            spread = np.searchsorted(recall, np.linspace(recall[0], 1, points))
            chosen = np.unique(np.minimum(spread, steps.size - 1))
            steps, recall = steps[chosen], recall[chosen]
        lowest = _lower_edges()[::-1][steps]
        return {"threshold": lowest, "recall": recall, "precision": pairs[steps] / cells[steps]}

    def average_precision(self) -> float:
        """As the function of that name, to the width of the bins; nan without true pairs."""
        cells, pairs = (np.cumsum(c[::-1]) for c in (self.by_logit.sum(axis=0), self.by_logit[1]))
        if not pairs[-1]:
            return float("nan")
        found = self.by_logit[1][::-1]
        return float((found * pairs / np.maximum(cells, 1)).sum() / pairs[-1])

    def reliability(self) -> dict[str, NDArray[np.float64]]:
        """Mean probability and share of true pairs in each bin that holds cells.

        Returns
        -------
        dict of str -> numpy.ndarray of shape (n_bins,)
            mean_probability, paired_share, cells.
        """
        cells, total, pairs = self.by_probability[:, self.by_probability[0] > 0]
        return {
            "mean_probability": total / cells,
            "paired_share": pairs / cells,
            "cells": cells,
        }

    def ece(self, lowest: float = 0.0) -> float:
        """Expected calibration error (Naeini et al. 2015): mean |probability - share| over cells.

        Parameters
        ----------
        lowest : float
            Only bins from this probability on, a multiple of 1 / RELIABILITY_BINS. More than 99 %
            of all cells have a probability near 0, where nearly any model is right; so the error
            of all cells is tiny, and that from .05 on says more.

        Returns
        -------
        float
            In [0, 1]; nan without cells.
        """
        start = round(lowest * RELIABILITY_BINS)
        cells, total, pairs = self.by_probability[:, start:]
        return float(np.abs(total - pairs).sum() / cells.sum()) if cells.sum() else float("nan")


def _bin_of(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    with np.errstate(divide="ignore"):
        logit = np.log(probability) - np.log1p(-probability)
    place = (np.clip(logit, -END, END) + END) * (BINS / (2 * END))
    return np.minimum(place.astype(np.int64), BINS - 1)


def _lower_edges() -> NDArray[np.float64]:
    """Lowest probability of each bin."""
    edges = 1 / (1 + np.exp(-(np.arange(BINS) * (2 * END / BINS) - END)))
    edges[0] = 0.0
    return np.asarray(edges)
