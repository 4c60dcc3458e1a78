"""The threshold of a model, chosen without negatives: one score from which on a row is kept.

A row is *kept* (called positive, identifiable) when its score is at least the threshold. Recall is
the kept share of the labelled rows, which under selected completely at random is that of all
positives. A labelled row stands for 1 / c positives, c the label frequency of its polarity; so the
weights w = 1 / c of the labelled rows give pi = sum(w) / n of these very rows, whatever pi was in
the training table, and the positives among the kept ones.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from priorwise.pu.rates import FloatArray
from priorwise.pu.score_table import checked_rows, sums_at
from priorwise.pu.selection import proxy_f1

Rule = Literal["percentile", "proxy_f1", "prior", "keep"]
#: rules that ask how many rows are positive, and so need c
NEED_C: tuple[Rule, ...] = ("proxy_f1", "prior")
#: rates closer than this are equal: the order in which rows are summed must not decide
ROUNDING = 1e-10


@dataclass(frozen=True)
class Outcome:
    """What a threshold does to a table.

    Attributes
    ----------
    threshold : float
        Rows with at least this score are kept.
    recall, share_kept : float
        Kept share of the labelled rows, and of all rows.
    precision, proxy_f1 : float
        Estimated share of positives among the kept rows, at most 1, and F1 score without negatives
        (`selection.proxy_f1`); nan where c is not known, precision also where nothing is kept.
    """

    threshold: float
    recall: float
    share_kept: float
    precision: float
    proxy_f1: float


@dataclass(frozen=True)
class ThresholdCurve:
    """The outcome of every threshold that makes a difference; arrays of shape (n_distinct,).

    Attributes
    ----------
    threshold : numpy.ndarray
        The distinct scores, ascending.
    recall, share_kept, precision, proxy_f1 : numpy.ndarray
        As of `Outcome`; recall and share_kept fall from 1.
    """

    threshold: FloatArray
    recall: FloatArray
    share_kept: FloatArray
    precision: FloatArray
    proxy_f1: FloatArray

    @classmethod
    def of(
        cls, score: ArrayLike, labelled: ArrayLike, weight: ArrayLike | None = None
    ) -> "ThresholdCurve":
        """Count rows.

        Parameters
        ----------
        score : array_like of shape (n_rows,)
            Probabilities, in [0, 1].
        labelled : array_like of shape (n_rows,)
            s, as 0/1 or bool; at least one row.
        weight : array_like of shape (n_rows,), optional
            1 / c of each row's polarity; those of unlabelled rows are not looked at.

        Raises
        ------
        ValueError
            If a score is no probability, no row is labelled, the shapes differ, or a weight is
            below 1.
        """
        g, s = checked_rows(score, labelled)
        if not s.any():
            raise ValueError("labelled: no row is labelled, recall is undefined")
        distinct, place = np.unique(g, return_inverse=True)
        n = distinct.size
        rows = _from_above(sums_at(place, np.ones(g.size), n))
        found = _from_above(sums_at(place, s.astype(np.float64), n))
        recall, share = found / found[0], rows / rows[0]
        if weight is None:
            unknown = np.full(n, np.nan)
            return cls(distinct, recall, share, unknown, unknown)
        stands_for = _from_above(sums_at(place, np.where(s, _weights(weight, g), 0.0), n))
        f1 = proxy_f1(stands_for / stands_for[0], share, float(stands_for[0] / g.size))
        return cls(distinct, recall, share, np.minimum(stands_for / rows, 1), f1)

    def at(self, threshold: float) -> Outcome:
        """The outcome of any threshold; one between two scores does what the higher one does."""
        place = int(np.searchsorted(self.threshold, threshold))
        if place == self.threshold.size:
            known = bool(np.isfinite(self.proxy_f1[0]))
            return Outcome(threshold, 0.0, 0.0, np.nan, 0.0 if known else np.nan)
        values = (self.recall, self.share_kept, self.precision, self.proxy_f1)
        return Outcome(threshold, *(float(v[place]) for v in values))

    def thinned(self, points: int) -> "ThresholdCurve":
        """At most so many points (2 or more), evenly spread, both ends among them."""
        if self.threshold.size <= points:
            return self
        kept = np.linspace(0, self.threshold.size - 1, points).round().astype(int)
        return ThresholdCurve(*(values[kept] for values in vars(self).values()))


def choose_threshold(
    rule: Rule,
    score: ArrayLike,
    labelled: ArrayLike,
    *,
    percentile: float = 5.0,
    keep: float = 90.0,
    weight: ArrayLike | None = None,
) -> float:
    """The threshold that a rule asks for, for all rows together.

    * percentile: that percentile of the labelled rows' scores, interpolated linearly;
    * keep: the highest score that still keeps `keep` % of the labelled rows;
    * prior: the score at which the share of kept rows comes closest to pi;
    * proxy_f1: the score with the highest F1 estimated without negatives, 2 pi r / (q + pi) for one
      polarity; with several, a labelled row counts with its weight in r.

    Of two equally good thresholds the higher one is taken. Where all scores are equal it is that
    score, and every row is kept.

    Parameters
    ----------
    rule : {"percentile", "proxy_f1", "prior", "keep"}
    score, labelled, weight
        As for `ThresholdCurve.of`; `weight` is needed by the rules in `NEED_C`.
    percentile : float
        In [0, 100].
    keep : float
        Per cent, in (0, 100].

    Raises
    ------
    ValueError
        If an argument is out of its range; the message names it.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule: {rule!r} (expected one of {', '.join(get_args(Rule))})")
    if rule in NEED_C and weight is None:
        raise ValueError(f"weight: rule {rule} needs the label frequency c")
    curve = ThresholdCurve.of(score, labelled, weight)
    g, s = checked_rows(score, labelled)
    if rule == "percentile":
        if not 0 <= percentile <= 100:
            raise ValueError(f"percentile: expected a number in [0, 100], got {percentile}")
        return float(np.percentile(g[s], percentile))
    if rule == "keep":
        if not 0 < keep <= 100:
            raise ValueError(f"keep: expected per cent in (0, 100], got {keep}")
        return float(curve.threshold[curve.recall >= keep / 100 - ROUNDING][-1])
    if rule == "prior":
        gap = np.abs(curve.share_kept - _weights(weight, g)[s].sum() / g.size)
        return float(curve.threshold[gap <= gap.min() + ROUNDING][-1])
    return float(curve.threshold[curve.proxy_f1 >= curve.proxy_f1.max() - ROUNDING][-1])


def _from_above(counts: FloatArray) -> FloatArray:
    """Sum over this score and all higher ones."""
    return np.asarray(np.cumsum(counts[::-1])[::-1], dtype=np.float64)


def _weights(weight: ArrayLike | None, score: FloatArray) -> FloatArray:
    values = np.asarray(weight, np.float64)
    if values.shape != score.shape:
        raise ValueError(f"weight: expected the shape of score {score.shape}, got {values.shape}")
    if not (np.isfinite(values) & (values >= 1)).all():
        raise ValueError("weight: expected 1 / c, a finite number of 1 or more, for every row")
    return values
