"""What a model does at its threshold, on rows whose negatives are not known.

Recall is counted on labelled rows: under selected completely at random (SCAR) these are a random
sample of the positives. Precision cannot be counted; it follows from the label frequency c. Among
the kept rows, too, a share c of the positives is labelled, so that

    P(y=1 | kept) = P(s=1 | kept) / c                                                          (1)

(Elkan & Noto 2008, "Learning classifiers from only positive and unlabeled data", Lemma 1, averaged
over the kept rows).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from priorwise.pu.proportions import Proportion
from priorwise.pu.score_table import checked_rows

#: shares of kept rows outside of these are no selection
LEAST_KEPT, MOST_KEPT = 0.02, 0.95


@dataclass(frozen=True)
class Kept:
    """Counts of a group of rows, and of those with at least the threshold.

    Attributes
    ----------
    rows, labelled : int
    kept, labelled_kept : int
        How many of them are kept.
    """

    rows: int
    labelled: int
    kept: int
    labelled_kept: int

    @classmethod
    def of(cls, score: ArrayLike, labelled: ArrayLike, threshold: float) -> "Kept":
        """Count rows.

        Parameters
        ----------
        score : array_like of shape (n_rows,)
            Probabilities, in [0, 1].
        labelled : array_like of shape (n_rows,)
            s, as 0/1 or bool.
        threshold : float

        Raises
        ------
        ValueError
            If a score is no probability, a label is neither 0 nor 1, or the shapes differ.
        """
        g, s = checked_rows(score, labelled)
        kept = g >= threshold
        return cls(g.size, int(s.sum()), int(kept.sum()), int((kept & s).sum()))

    def __add__(self, other: "Kept") -> "Kept":
        """Count the rows of both."""
        return Kept(
            self.rows + other.rows,
            self.labelled + other.labelled,
            self.kept + other.kept,
            self.labelled_kept + other.labelled_kept,
        )

    @property
    def recall(self) -> Proportion:
        """Kept share of the labelled rows; nan without any."""
        return Proportion.of(self.labelled_kept, self.labelled)

    @property
    def share_kept(self) -> Proportion:
        """Kept share of all rows, q at this threshold."""
        return Proportion.of(self.kept, self.rows)


@dataclass(frozen=True)
class Frequency:
    """Label frequency c of one polarity, and its interval (both ends c where none is known)."""

    c: float
    low: float
    high: float


@dataclass(frozen=True)
class Precision:
    """Estimated share of positives among the kept rows.

    Attributes
    ----------
    value, low, high : float
        With a 95 % interval, all in [0, 1]; nan where nothing is kept.
    unclipped : float
        The estimate before it was clipped: above 1 where c is too low for these scores.
    """

    value: float
    low: float
    high: float
    unclipped: float


def precision(groups: Sequence[tuple[Kept, Frequency]]) -> Precision:
    """Estimate precision by equation (1), over groups that each have a label frequency.

    The interval joins that of P(s=1 | kept) (Wilson's) with that of c, on the scale of logarithms,
    and then those of the groups, weighted by their kept rows: Zou & Donner 2008, "Construction of
    confidence limits about effect measures: a general approach" (MOVER).

    Parameters
    ----------
    groups : sequence of (Kept, Frequency)
        One for each polarity.
    """
    kept = sum(counts.kept for counts, _ in groups)
    if kept == 0:
        return Precision(math.nan, math.nan, math.nan, math.nan)
    value = below = above = unclipped = 0.0
    for counts, frequency in groups:
        if counts.kept == 0:
            continue
        weight = counts.kept / kept
        ends = _ratio(Proportion.of(counts.labelled_kept, counts.kept), frequency)
        unclipped += weight * ends[0]
        part, low, high = (min(1.0, end) for end in ends)
        value += weight * part
        below += (weight * (part - low)) ** 2
        above += (weight * (high - part)) ** 2
    low, high = value - math.sqrt(below), value + math.sqrt(above)
    return Precision(min(1.0, value), min(1.0, max(0.0, low)), min(1.0, high), unclipped)


def _ratio(labelled: Proportion, frequency: Frequency) -> tuple[float, float, float]:
    """Quotient of a proportion and c, with both ends of its interval."""
    value = labelled.value / frequency.c
    # the upper end where no kept row is labelled: log 0 has no distance to it
    if labelled.k == 0:
        return 0.0, 0.0, labelled.high / frequency.low
    down = math.hypot(
        math.log(labelled.value / labelled.low), math.log(frequency.high / frequency.c)
    )
    up = math.hypot(math.log(labelled.high / labelled.value), math.log(frequency.c / frequency.low))
    return value, value * math.exp(-down), value * math.exp(up)


def no_selection(share_kept: float, pi: float = math.nan) -> str:
    """Why a threshold selects nothing: it keeps nearly every row, or nearly none.

    Parameters
    ----------
    share_kept : float
        In [0, 1].
    pi : float, optional
        Class prior; where so few rows are positive, as few may be kept: down to pi / 2.

    Returns
    -------
    str
        One sentence; empty for a threshold that selects.
    """
    least = min(LEAST_KEPT, pi / 2) if math.isfinite(pi) else LEAST_KEPT
    if share_kept > MOST_KEPT:
        return f"{100 * share_kept:.1f} % of all rows are kept: nearly every one"
    if share_kept < least:
        return f"{100 * share_kept:.2g} % of all rows are kept: nearly none"
    return ""
