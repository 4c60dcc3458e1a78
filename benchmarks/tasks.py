"""Positive-unlabelled tasks with known truth, made from labelled data.

Two ways in which labels come about:

* censoring (`censored`): one population with class prior pi; each positive row is labelled with
  probability c. Even digits are the positive class; pi and c are the published values of the
  positive and of the negative ionisation mode.
* two samples (`two_sample`): a sample of positives, all labelled, and a separate unlabelled sample
  with a share alpha of positives.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bits = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Rows: features, true class, and whether the row is labelled."""

    x: NDArray[np.float32]
    y: Bits
    s: Bits

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labelled_share(self) -> float:
        """Labelled share of all rows, s."""
        return float(self.s.mean())

    @property
    def alpha(self) -> float:
        """True share of positives in the unlabelled rows."""
        return float(self.y[self.s == 0].mean())

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Table":
        """Some of the rows."""
        return Table(self.x[rows], self.y[rows], self.s[rows])


@dataclass(frozen=True)
class Task:
    """Disjoint tables of one population; `test` is judged by y alone."""

    train: Table
    validation: Table
    hold_out: Table
    test: Table


@dataclass(frozen=True)
class Setting:
    """The guide's class prior and label frequency of one ionisation mode."""

    pi: float
    c: float


# pi = s / c with the guide's s = .267, .128: .4534 and .2853.
POSITIVE = Setting(0.267 / 0.5889, 0.5889)
NEGATIVE = Setting(0.128 / 0.4486, 0.4486)
SIZES = (4000, 2000, 2000, 5000)  # train, validation, hold-out, test
DIGITS_SIZES = (800, 250, 600, 0)
DIGITS_CUT_SIZES = (750, 250, 550, 100)


def censored(
    x: NDArray[np.float32],
    y: Bits,
    setting: Setting,
    seed: int,
    *,
    sizes: tuple[int, int, int, int] = SIZES,
    exact: bool = True,
) -> Task:
    """Censored tables, drawn from (x, y) without replacement.

    With `exact`, every table has the share pi of positives up to rounding, so that an error of pi
    is not the luck of the draw. Without it, rows are drawn independently from a population with
    that prior: what an interval for the population's pi has to cover. Labels are always drawn
    independently, with probability c for positive rows.
    """
    rng = np.random.default_rng(seed)
    positives, negatives = (rng.permutation(np.flatnonzero(y == k)) for k in (1, 0))
    tables = []
    for size in sizes:
        n = round(setting.pi * size) if exact else rng.binomial(size, setting.pi)
        if n > len(positives) or size - n > len(negatives):
            raise ValueError(f"{size} rows with pi = {setting.pi:.4f}: the data have too few")
        rows = rng.permutation(np.concatenate([positives[:n], negatives[: size - n]]))
        positives, negatives = positives[n:], negatives[size - n :]
        s = y[rows] * (rng.random(size) < setting.c)
        tables.append(Table(x[rows], y[rows], s))
    return Task(*tables)


def two_sample(
    x: NDArray[np.float32],
    y: Bits,
    seed: int,
    *,
    n_official_test: int,
    train: int = 15_000,
    validation: int = 1_250,
    hold_out: int = 2_500,
    alpha: float = 0.5,
) -> Task:
    """Two-sample tables as in acmi-lab/PU_learning: as many labelled as unlabelled rows.

    Training and validation rows come from the first part of (x, y), held-out and test rows from
    its last `n_official_test` rows; test is all of those.
    """
    rng = np.random.default_rng(seed)
    border = len(y) - n_official_test

    def drawn(rows: Bits, sizes: tuple[int, ...]) -> list[Table]:
        positives, negatives = (rng.permutation(rows[y[rows] == k]) for k in (1, 0))
        tables = []
        for n in sizes:
            n_hidden = round(alpha * n)
            chosen = np.concatenate([positives[: n + n_hidden], negatives[: n - n_hidden]])
            if len(chosen) < 2 * n:
                raise ValueError(f"two samples of {n} rows: the data have too few")
            positives, negatives = positives[n + n_hidden :], negatives[n - n_hidden :]
            s = (np.arange(2 * n) < n).astype(np.int64)
            tables.append(Table(x[chosen], y[chosen], s))
        return tables

    all_rows = np.arange(len(y))
    of_train, of_validation = drawn(all_rows[:border], (train, validation))
    (held_out,) = drawn(all_rows[border:], (hold_out,))
    test = Table(x[border:], y[border:], np.zeros(n_official_test, dtype=np.int64))
    return Task(of_train, of_validation, held_out, test)


def digits() -> tuple[NDArray[np.float32], Bits]:
    """scikit-learn's digits (1,797 rows of 8x8 pixels, scaled to [0, 1]); y: the digit is even."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.data / 16).astype(np.float32), (bunch.target % 2 == 0).astype(np.int64)
