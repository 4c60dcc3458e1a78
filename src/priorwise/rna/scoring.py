"""Strict scores of predicted structures: a pair counts if both of its ends are right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from priorwise.pu.intervals import Interval

Pairs = NDArray[np.integer]
#: numbers drawn at once in a bootstrap, so that memory stays small
DRAWN_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class StrictScores:
    """Counts of pairs, one per sequence, and the scores that follow from them.

    All pairs of the true structure count as they are given, also those closer than the minimum loop
    and those that are not AU, GC or GU: a predictor that cannot make them loses recall. There is
    no tolerance: a pair shifted by one base is wrong.

    A sequence without true pairs scores 1 if none is predicted, else 0; one with true pairs of
    which none is predicted scores 0.

    Attributes
    ----------
    n_true, n_predicted, n_common : numpy.ndarray of shape (n_sequences,), int64
        Pairs of the true structure, of the predicted one, and of both.
    """

    n_true: NDArray[np.int64]
    n_predicted: NDArray[np.int64]
    n_common: NDArray[np.int64]

    @classmethod
    def of(cls, predicted: Sequence[Pairs], true: Sequence[Pairs]) -> "StrictScores":
        """Count pairs.

        Parameters
        ----------
        predicted, true : sequence of numpy.ndarray of shape (n_pairs, 2)
            0-based positions i < j of each sequence's pairs, in any order, none twice; a base may
            be in several.

        Raises
        ------
        ValueError
            If there are not as many predictions as structures.
        """
        if len(predicted) != len(true):
            raise ValueError(f"predicted: expected {len(true)} structures, got {len(predicted)}")
        common = [_n_common(p, t) for p, t in zip(predicted, true, strict=True)]
        return cls(
            np.array([len(t) for t in true], np.int64),
            np.array([len(p) for p in predicted], np.int64),
            np.array(common, np.int64),
        )

    def __len__(self) -> int:
        """Return the number of sequences."""
        return self.n_true.size

    @property
    def precision(self) -> NDArray[np.float64]:
        """Right share of the predicted pairs, of each sequence."""
        return _ratio(self.n_common, self.n_predicted, self.n_true == 0)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Found share of the true pairs, of each sequence."""
        return _ratio(self.n_common, self.n_true, self.n_predicted == 0)

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 common / (true + predicted), of each sequence."""
        return _ratio(2 * self.n_common, self.n_true + self.n_predicted, True)

    def mean(self) -> dict[str, float]:
        """Means over sequences: precision, recall, f1; nan without sequences."""
        names = ("precision", "recall", "f1")
        return {name: _mean(getattr(self, name)) for name in names}

    def micro(self) -> dict[str, float]:
        """The same of all pairs together, so that long sequences weigh more."""
        total = StrictScores(*(np.array([n.sum()]) for n in vars(self).values()))
        return total.mean() if len(self) else self.mean()


def bootstrap_mean(
    values: ArrayLike, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Percentile bootstrap interval (Efron 1979) of the mean over sequences.

    For the difference of two methods pass the differences of their scores, sequence by sequence:
    both see the same sequences, so that interval is narrower than two separate ones suggest.
    Sequences of one family are alike; the interval holds for more sequences of the same kind, not
    for other families.

    Parameters
    ----------
    values : array_like of shape (n_sequences,)
    resamples : int
        At least 2.
    level : float
        Nominal coverage, in (0, 1).
    seed : int
        The same values and seed give the same interval.

    Returns
    -------
    Interval
        Both nan without values.

    Raises
    ------
    ValueError
        If `resamples` or `level` is out of its range.
    """
    if resamples < 2:
        raise ValueError(f"resamples: expected at least 2, got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a coverage in (0, 1), got {level}")
    x = np.asarray(values, np.float64)
    if not x.size:
        return Interval(np.nan, np.nan)
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWN_AT_ONCE // x.size)
    means = [
        x[rng.integers(x.size, size=(min(at_once, resamples - start), x.size))].mean(axis=1)
        for start in range(0, resamples, at_once)
    ]
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return Interval(float(low), float(high))


def by_group(
    groups: Sequence[str],
    f1: Mapping[str, ArrayLike],
    *,
    order: Sequence[str] | None = None,
    resamples: int = 1000,
) -> pd.DataFrame:
    """Mean F1 of each group of sequences and each method, with its interval.

    Parameters
    ----------
    groups : sequence of str
        Group of each sequence: family, stratum.
    f1 : mapping of str -> array_like of shape (n_sequences,)
        Per method, of each sequence.
    order : sequence of str, optional
        Groups in the order of the lines; the largest first if not given.
    resamples : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        One line per group and method: group, method, n, f1, f1.low, f1.high. Groups without
        sequences have none.

    Raises
    ------
    ValueError
        If a method does not have one score per sequence.
    """
    names = np.asarray(groups, dtype=object)
    scores = {method: np.asarray(values, np.float64) for method, values in f1.items()}
    for method, values in scores.items():
        if values.shape != names.shape:
            raise ValueError(f"{method}: expected {names.size} scores, got shape {values.shape}")
    if order is None:
        found, sizes = np.unique(names.astype(str), return_counts=True)
        order = [str(g) for g in found[np.argsort(-sizes, kind="stable")]]
    lines = []
    for group in order:
        here = names == group
        for method, values in scores.items() if here.any() else ():
            low, high = bootstrap_mean(values[here], resamples=resamples)
            n, mean = int(here.sum()), _mean(values[here])
            lines.append((group, method, n, mean, low, high))
    return pd.DataFrame(lines, columns=["group", "method", "n", "f1", "f1.low", "f1.high"])


def strata(values: ArrayLike, edges: Sequence[float]) -> tuple[list[str], list[str]]:
    """Stratum of each value, and all strata in order: `below .60`, `.60 to .80`, `.80 or more`.

    Parameters
    ----------
    values : array_like of shape (n_sequences,)
        Similarity to the nearest training sequence in [0, 1], or lengths.
    edges : sequence of float
        Ascending, at least one; a value on an edge belongs to the stratum above.

    Returns
    -------
    of_each : list of str
    order : list of str
    """
    said = [f"{edge:g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in zip(said[:-1], said[1:], strict=True)]
    order = [f"below {said[0]}", *between, f"{said[-1]} or more"]
    places = np.searchsorted(np.asarray(edges), np.asarray(values), side="right")
    return [order[place] for place in places], order


def _n_common(one: Pairs, other: Pairs) -> int:
    """Number of pairs that both structures contain."""
    a, b = (pairs[:, 0].astype(np.int64) << 32 | pairs[:, 1] for pairs in (one, other))
    return int(np.intersect1d(a, b, assume_unique=True).size)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else float("nan")


def _ratio(
    part: NDArray[np.int64], whole: NDArray[np.int64], perfect: ArrayLike
) -> NDArray[np.float64]:
    """Part of the whole; where there is no whole, 1 if that is perfect, else 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), np.asarray(perfect, np.float64))
