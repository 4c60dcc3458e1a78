"""Held-out scores as counts per distinct score: the one input of every prior estimator.

Order of rows cannot matter, duplicated rows count twice, and a bootstrap resample is the same
table with other counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from priorwise.pu.rates import FloatArray


@dataclass(frozen=True)
class ScoreTable:
    """Scores g(x) of held-out rows, labelled (P) and unlabelled (U).

    Attributes
    ----------
    score : numpy.ndarray of shape (n_distinct,)
        Distinct scores, ascending, in [0, 1].
    p, u : numpy.ndarray of shape (n_distinct,), float64
        Labelled and unlabelled rows with that score.
    """

    score: FloatArray
    p: FloatArray
    u: FloatArray

    @classmethod
    def of(cls, score: ArrayLike, labelled: ArrayLike) -> "ScoreTable":
        """Count rows.

        Parameters
        ----------
        score : array_like of shape (n_rows,)
            Probabilities in [0, 1], of a classifier of s.
        labelled : array_like of shape (n_rows,)
            s: 1 labelled, 0 unlabelled.

        Raises
        ------
        ValueError
            If a score is no probability, the shapes differ, or `labelled` holds something else
            than 0 and 1.
        """
        return RowScores(*checked_rows(score, labelled)).table()

    @property
    def n_p(self) -> float:
        """Labelled rows."""
        return float(self.p.sum())

    @property
    def n_u(self) -> float:
        """Unlabelled rows."""
        return float(self.u.sum())

    @property
    def s(self) -> float:
        """Labelled fraction of these rows."""
        return self.n_p / (self.n_p + self.n_u)

    def with_scores(self, score: FloatArray) -> "ScoreTable":
        """The same rows with other scores, given in the order of `self.score`."""
        distinct, place = np.unique(score, return_inverse=True)
        n = distinct.size
        return ScoreTable(distinct, sums_at(place, self.p, n), sums_at(place, self.u, n))

    def require_both(self) -> None:
        """Refuse a table on which a mixture cannot be told apart.

        Raises
        ------
        ValueError
            Without labelled, or without unlabelled rows.
        """
        if self.n_p == 0:
            raise ValueError("scores: no labelled row (s = 1)")
        if self.n_u == 0:
            raise ValueError("scores: no unlabelled row (s = 0)")


class RowScores:
    """Scores of rows, from which tables with resampled rows are counted quickly.

    Parameters
    ----------
    score : numpy.ndarray of shape (n_rows,)
    labelled : numpy.ndarray of shape (n_rows,), bool
    """

    def __init__(self, score: FloatArray, labelled: NDArray[np.bool_]) -> None:
        self._distinct, self._place = np.unique(score, return_inverse=True)
        self._labelled = labelled

    def __len__(self) -> int:
        return len(self._place)

    def table(self, weight: FloatArray | None = None) -> ScoreTable:
        """Count rows, each `weight` times (once if not given); scores of no row are left out."""
        w = np.ones(len(self)) if weight is None else weight
        n = self._distinct.size
        p = sums_at(self._place, w * self._labelled, n)
        u = sums_at(self._place, w * ~self._labelled, n)
        seen = p + u > 0
        return ScoreTable(self._distinct[seen], p[seen], u[seen])


def sums_at(place: NDArray[np.intp], weight: FloatArray, n: int) -> FloatArray:
    """Sum of the weights at each of n places."""
    return np.asarray(np.bincount(place, weight, n), dtype=np.float64)


def checked_rows(score: ArrayLike, labelled: ArrayLike) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Give scores and labels of rows, checked.

    Raises
    ------
    ValueError
        If a score is no probability, the shapes differ, or a label is neither 0 nor 1.
    """
    g, s = checked_scores(score, "score"), np.asarray(labelled)
    if s.shape != g.shape:
        raise ValueError(f"labelled: expected the shape of score {g.shape}, got {s.shape}")
    if not np.isin(s, (0, 1)).all():
        raise ValueError("labelled: expected 0 or 1 for every row")
    return g, s == 1


def checked_scores(scores: ArrayLike, name: str) -> FloatArray:
    """Give the scores as float64, after checking that they are probabilities.

    Raises
    ------
    ValueError
        If there are none, or one is not a finite number in [0, 1]; the message starts with `name`.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name}: expected one or more values in one row, got {values.shape}")
    bad = ~((values >= 0) & (values <= 1))  # true for nan, too
    if bad.any():
        where = int(bad.argmax())
        raise ValueError(f"{name}: value {values[where]} at {where} is no probability in [0, 1]")
    return values
