"""Percentile bootstrap intervals of c, s, pi and alpha, by row and by data set.

They show **variance only**: a bias is the same in every resample. The averages of Elkan & Noto
(`priors.VARIANCE_ONLY`) are biased under class overlap, so that an interval around them can be
narrow and miss the truth every time; the median of the mixture estimators has little bias, and its
intervals cover (benchmarks/priors.py measures how often).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from priorwise.pu.priors import CALIBRATED, label_frequencies
from priorwise.pu.rates import FloatArray, alpha_of
from priorwise.pu.score_table import RowScores, checked_rows

Unit = Literal["row", "dataset"]
#: fewer data sets than this say too little about how data sets differ
FEWEST_DATASETS = 2


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


class PriorIntervals(NamedTuple):
    """Intervals of the four rates."""

    c: Interval
    s: Interval
    pi: Interval
    alpha: Interval


@dataclass(frozen=True)
class HeldOutRows:
    """Scored rows with the data set that each comes from.

    Parameters
    ----------
    score : array_like of shape (n_rows,)
        Probabilities in [0, 1].
    labelled : array_like of shape (n_rows,)
        s of each row, 0 or 1.
    dataset : array_like of shape (n_rows,), optional
        Name of each row's data set; one for all if not given.
    """

    score: ArrayLike
    labelled: ArrayLike
    dataset: ArrayLike | None = None

    def scores(self) -> RowScores:
        """The rows, ready to be resampled."""
        return RowScores(*checked_rows(self.score, self.labelled))

    def datasets(self) -> NDArray[np.int64]:
        """Number of each row's data set, from 0."""
        n = np.asarray(self.score).size
        if self.dataset is None:
            return np.zeros(n, np.int64)
        names = np.asarray(self.dataset)
        if names.shape != (n,):
            raise ValueError(f"dataset: expected one name per row ({n}), got {names.shape}")
        return np.unique(names, return_inverse=True)[1].astype(np.int64)


class LabelCounts(NamedTuple):
    """Rows and labelled rows of the training table, per data set.

    Attributes
    ----------
    rows, labelled : numpy.ndarray of shape (n_datasets,), int64
    """

    rows: NDArray[np.int64]
    labelled: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[int], labelled: Sequence[int]) -> "LabelCounts":
        """Check and keep the counts."""
        counts = cls(np.asarray(rows, np.int64), np.asarray(labelled, np.int64))
        if counts.rows.shape != counts.labelled.shape or counts.rows.ndim != 1:
            raise ValueError(
                f"train: expected as many counts of labelled rows as of rows "
                f"{counts.rows.shape}, got {counts.labelled.shape}"
            )
        if ((counts.labelled < 0) | (counts.labelled > counts.rows)).any():
            raise ValueError("train: expected 0 to `rows` labelled rows in every data set")
        if not 0 < counts.labelled.sum() < counts.rows.sum():
            raise ValueError(
                f"train: expected labelled and unlabelled rows, got {counts.labelled.sum()} "
                f"labelled of {counts.rows.sum()}"
            )
        return counts


def bootstrap_priors(
    names: Sequence[str],
    held_out: HeldOutRows,
    train: LabelCounts,
    *,
    unit: Unit = "row",
    validation: HeldOutRows | None = None,
    resamples: int = 200,
    level: float = 0.95,
    rng: np.random.Generator,
) -> dict[str, PriorIntervals]:
    """Percentile bootstrap (Efron 1979) of c, of s, and of what follows from them.

    In each resample the held-out rows are drawn anew, s of the training table is drawn anew, and
    the whole estimator is run, calibration on redrawn validation rows included. All estimators see
    the same resamples.

    Parameters
    ----------
    names : sequence of str
        Estimators, of `priors.ESTIMATORS`.
    held_out : HeldOutRows
        Rows that c is estimated on.
    train : LabelCounts
        The table that s is taken from.
    unit : {"row", "dataset"}
        What is drawn with replacement: rows; or whole data sets, of the held-out and of the
        training table, for rows of one data set are alike. `row` is too narrow then.
    validation : HeldOutRows, optional
        Rows that calibrators are fitted on (always drawn by row).
    resamples : int
        At least 2.
    level : float
        Nominal coverage, in (0, 1).
    rng : numpy.random.Generator

    Returns
    -------
    dict of str -> PriorIntervals
        pi and alpha may exceed 1, where resamples of c fall below s.

    Raises
    ------
    ValueError
        If an argument is out of its range, a table has fewer than two data sets (`dataset`), or
        most resamples lack labelled or unlabelled rows.
    """
    if unit not in get_args(Unit):
        raise ValueError(f"unit: {unit!r} (expected one of {', '.join(get_args(Unit))})")
    if resamples < 2:
        raise ValueError(f"resamples: expected at least 2, got {resamples}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a coverage in (0, 1), got {level}")
    rows = held_out.scores()
    weights = _weights(held_out.datasets(), unit, rng)
    rates = _rates(train, unit, rng)
    (calibration_rng,) = rng.spawn(1)  # so that all else is drawn alike with and without
    again = any(name in CALIBRATED for name in names) and validation is not None
    fitted = validation.scores() if again and validation is not None else None

    drawn: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(resamples):
        table, s = rows.table(next(weights)), next(rates)
        refitted = fitted.table(_by_row(len(fitted), calibration_rng)) if fitted else None
        lacks_kind = [not (t.n_p and t.n_u) for t in (table, refitted) if t is not None]
        if any(lacks_kind) or table.score.size < 2 or not 0 < s < 1:
            continue
        found = label_frequencies(table, names, validation=refitted)
        for name, c in found.items():
            if c > 0:
                drawn[name].append((c, s))
    return {name: _intervals(name, draws, resamples, level) for name, draws in drawn.items()}


def _intervals(
    name: str, draws: list[tuple[float, float]], resamples: int, level: float
) -> PriorIntervals:
    if len(draws) < max(2, resamples / 2):
        raise ValueError(
            f"{name}: only {len(draws)} of {resamples} resamples can be used (expected labelled "
            "and unlabelled rows, two or more distinct scores, and a label frequency above 0)"
        )
    c, s = np.array(draws).T
    pi = s / c
    tail = 100 * (1 - level) / 2

    def interval(values: FloatArray) -> Interval:
        low, high = np.percentile(values, [tail, 100 - tail])
        return Interval(float(low), float(high))

    return PriorIntervals(interval(c), interval(s), interval(pi), interval(alpha_of(pi, s)))


def _by_row(n: int, rng: np.random.Generator) -> FloatArray:
    """How often each of n rows is drawn, in n draws."""
    return np.bincount(rng.integers(n, size=n), minlength=n).astype(np.float64)


def _weights(
    dataset: NDArray[np.int64], unit: Unit, rng: np.random.Generator
) -> Iterator[FloatArray]:
    n_datasets = int(dataset.max()) + 1
    if unit == "dataset" and n_datasets < FEWEST_DATASETS:
        raise ValueError(f"held_out: {n_datasets} data set (expected 2 or more to draw from)")
    while True:
        if unit == "row":
            yield _by_row(dataset.size, rng)
        else:
            yield _by_row(n_datasets, rng)[dataset]


def _rates(train: LabelCounts, unit: Unit, rng: np.random.Generator) -> Iterator[float]:
    n, labelled = int(train.rows.sum()), int(train.labelled.sum())
    if unit == "dataset" and train.rows.size < FEWEST_DATASETS:
        raise ValueError(f"train: {train.rows.size} data set (expected 2 or more to draw from)")
    while True:
        if unit == "row":  # drawing n rows makes the number of labelled ones binomial
            yield rng.binomial(n, labelled / n) / n
        else:
            times = _by_row(train.rows.size, rng)
            yield float(times @ train.labelled / (times @ train.rows))
