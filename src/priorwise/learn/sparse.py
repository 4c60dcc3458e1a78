"""Adaptive sparse training: which rows to train on, chosen before they are computed.

A training that uses 40 % of the rows saves time only if the others never enter the network. So the
choice rests on losses from earlier visits, not on those of the batch at hand: each row keeps a
moving average, rows are drawn in proportion to it, and none is left alone for too long.

Two ways to use it, one an epoch:

* `SparseSelection.epoch_rows` plans a whole epoch: `SelectedBatches` cuts the rows of the plan into
  full batches. This is what training on one table uses: no time is lost on remnants of batches,
  and all promises below hold exactly.
* `SparseSelection.select` thins out a batch that somebody else has put together, for streams whose
  order is not ours to choose. Batches shrink to the target.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from priorwise.learn.revisits import overdue
from priorwise.learn.unequal import draw, inclusion_probabilities

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: least weight of a row as a fraction of the mean weight: nobody's probability is zero
FLOOR = 0.01


class SparseSelection:
    """Remembers the losses of rows and chooses those to train on; a pure function of what it saw.

    Promises, with R = `revisit`:

    * Of all rows offered so far, `target` were selected, to the nearest whole row: there is no
      controller that would have to settle. (`select` may overdraw this for rows that cannot wait
      any longer; the next batches pay it back.)
    * Every row is trained in any R consecutive epochs, if it is offered in each of them.
    * Rows without a loss yet are drawn at random; they count as the highest loss there is.
    * The same calls give the same choices: they depend on seed, epoch, step and losses alone, also
      after `load_state_dict`.

    In distributed training each rank holds one; give each the losses of all ranks.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    target : float
        Fraction of rows to train on; 1 is plain training.
    seed : int
        At least 0.
    ema : float in (0, 1]
        Weight of the newest loss in a row's average.
    revisit : int
        R, in epochs; at least 1 / `target`.
    preference : float, at least 0
        Rows are drawn in proportion to loss ** preference: 0 is a random choice, infinity always
        takes the highest.

    Raises
    ------
    ValueError
        If an argument is out of its range, or so few rows an epoch cannot get round in time.
    """

    def __init__(
        self,
        n_rows: int,
        target: float = 0.4,
        *,
        seed: int,
        ema: float = 0.3,
        revisit: int = 10,
        preference: float = 1.0,
    ) -> None:
        if not 0 < target <= 1:
            raise ValueError(f"target: expected more than 0, at most 1, got {target}")
        if seed < 0:
            raise ValueError(f"seed: expected at least 0, got {seed}")
        if not 0 < ema <= 1:
            raise ValueError(f"ema: expected more than 0, at most 1, got {ema}")
        if not preference >= 0:
            raise ValueError(f"preference: expected at least 0, got {preference}")
        least = _whole(target * n_rows)
        if n_rows < 1 or least < 1:
            raise ValueError(f"n_rows: {target:g} of {n_rows} row(s) is less than one")
        if revisit * least < n_rows:
            raise ValueError(
                f"revisit: {least} of {n_rows} rows an epoch take {-(-n_rows // least)} epochs "
                f"to get round (expected at least that, got {revisit})"
            )
        self.n_rows, self.target, self.seed = n_rows, target, seed
        self.ema, self.revisit, self.preference = ema, revisit, preference
        self._loss = np.full(n_rows, np.nan)
        self._last = np.full(n_rows, -1, dtype=np.int64)  # epoch of the last visit
        self._weight = np.ones(n_rows)
        self._offered = self._selected = 0
        self._epoch, self._epoch_offered, self._epoch_selected = -1, 0, 0
        self._planned = False
        self._chosen: Rows = np.empty(0, dtype=np.int64)  # the plan, or who is to be revisited

    def epoch_rows(self, epoch: int) -> Rows:
        """Rows to train on in this epoch, sorted; asking again gives the same.

        Raises
        ------
        ValueError
            If a later epoch has begun, or this one was begun with `select`.
        """
        if epoch == self._epoch and not self._planned:
            raise ValueError(f"epoch: {epoch} was begun with select")
        if epoch == self._epoch:
            return self._chosen.copy()
        self._begin(epoch, planned=True)
        rng = np.random.default_rng([self.seed, epoch])
        rows = np.arange(self.n_rows, dtype=np.int64)
        self._chosen = np.flatnonzero(self._choose(rows, self._overdue(rng, whole=True), rng))
        return self._chosen.copy()

    def select(self, indices: ArrayLike, epoch: int, step: int) -> Mask:
        """Which rows of a batch to train on.

        Parameters
        ----------
        indices : array_like of shape (batch,)
            Rows of the table; each is offered once an epoch.
        epoch, step : int
            Where the training stands, at least 0.

        Returns
        -------
        numpy.ndarray of bool, shape (batch,)
            All False is possible where `target` of the batch is less than one row: skip it.

        Raises
        ------
        ValueError
            If a later epoch has begun, or this one was planned with `epoch_rows`.
        """
        if epoch == self._epoch and self._planned:
            raise ValueError(f"epoch: {epoch} was planned with epoch_rows")
        if epoch != self._epoch:
            self._begin(epoch, planned=False)
            rng = np.random.default_rng([self.seed, epoch])
            self._chosen = self._overdue(rng, whole=False)
        rng = np.random.default_rng([self.seed, epoch, step])
        return self._choose(np.asarray(indices, dtype=np.int64), self._chosen, rng)

    def update(self, indices: ArrayLike, losses: ArrayLike) -> None:
        """Take in the losses of rows just trained; those that are not finite change nothing."""
        rows = np.asarray(indices, dtype=np.int64)
        new = np.asarray(losses, dtype=np.float64)
        if rows.shape != new.shape:
            raise ValueError(f"losses: expected shape {rows.shape}, got {new.shape}")
        rows, new = rows[np.isfinite(new)], new[np.isfinite(new)]
        old = self._loss[rows]
        self._loss[rows] = np.where(np.isnan(old), new, old + self.ema * (new - old))

    def weights(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Factors that make a mean over selected rows an unbiased one over all rows offered.

        Each is the fraction selected, divided by the row's probability of being selected when it
        last was; their mean is 1 in expectation. Optional: without them, training leans towards
        rows that are hard.

        Raises
        ------
        ValueError
            With an infinite preference, which leaves some rows no chance at all.
        """
        if np.isinf(self.preference):
            raise ValueError("weights: there are none for preference=inf")
        return self._weight[np.asarray(indices, dtype=np.int64)]

    @property
    def least_per_epoch(self) -> int:
        """Rows of the smallest plan."""
        return _whole(self.target * self.n_rows)

    @property
    def most_per_epoch(self) -> int:
        """Rows of the largest plan: at most one more."""
        return -_whole(-self.target * self.n_rows)

    def statistics(self) -> dict[str, float]:
        """What to show of it.

        Fractions `activation_rate` (of this epoch) and `activation_total`; rows `unseen` (no loss
        yet); epochs `longest_wait`; `mean_loss` over rows with one.
        """
        seen = self._loss[~np.isnan(self._loss)]
        return {
            "activation_rate": self._epoch_selected / max(self._epoch_offered, 1),
            "activation_total": self._selected / max(self._offered, 1),
            "unseen": float(self.n_rows - seen.size),
            "longest_wait": float(self._epoch - self._last.min()) if self._epoch >= 0 else 0.0,
            "mean_loss": float(seen.mean()) if seen.size else float("nan"),
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain numbers and lists."""
        counts = {name: getattr(self, f"_{name}") for name in COUNTS}
        arrays = {name: getattr(self, f"_{name}").tolist() for name in ARRAYS}
        return {**self._key(), **counts, **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken.

        Raises
        ------
        ValueError
            If it is of another selection: the choices would not be the same.
        """
        for name, value in self._key().items():
            if state[name] != value:
                raise ValueError(f"{name}: the saved selection has {state[name]}, this one {value}")
        for name in COUNTS:
            setattr(self, f"_{name}", state[name])
        for name, dtype in ARRAYS.items():
            setattr(self, f"_{name}", np.array(state[name], dtype=dtype))

    def _key(self) -> dict[str, Any]:
        names = ("n_rows", "target", "seed", "ema", "revisit", "preference")
        return {name: getattr(self, name) for name in names}

    def _begin(self, epoch: int, planned: bool) -> None:
        if epoch < max(self._epoch, 0):
            raise ValueError(f"epoch: expected at least {max(self._epoch, 0)}, got {epoch}")
        self._epoch, self._planned = epoch, planned
        self._epoch_offered = self._epoch_selected = 0

    def _overdue(self, rng: np.random.Generator, whole: bool) -> Rows:
        """Rows to be revisited in this epoch, most urgent first.

        Where batches are thinned out, half of each is kept free if that is possible: rows to be
        revisited do not spread evenly over batches.
        """
        half = self.least_per_epoch // 2
        halved = not whole and self.revisit * half >= self.n_rows
        room = half if halved else self.least_per_epoch
        return overdue(self._last, self._epoch, self.revisit, room, rng)

    def _choose(self, rows: Rows, queue: Rows, rng: np.random.Generator) -> Mask:
        """Draw from `rows` what the target leaves room for, and count it."""
        room = int(self.target * (self._offered + len(rows)) + 0.5) - self._selected
        room = min(max(room, 0), len(rows))
        rank = np.full(self.n_rows, self.n_rows)  # place in the queue of those to be revisited
        rank[queue] = np.arange(len(queue))
        first = np.argsort(rank[rows], kind="stable")
        now = int((self._last[rows] + self.revisit <= self._epoch).sum())  # cannot wait
        queued = int((rank[rows] < self.n_rows).sum())
        certain = first[: max(now, min(queued, room))]
        others = first[len(certain) :]
        k = max(room - len(certain), 0)
        probability = np.zeros(len(rows))
        probability[certain] = 1.0
        probability[others] = self._probabilities(rows[others], k, rng)
        chosen = draw(probability, rng)
        n_chosen = int(chosen.sum())
        self._weight[rows[chosen]] = n_chosen / len(rows) / probability[chosen]
        self._last[rows[chosen]] = self._epoch
        self._offered += len(rows)
        self._selected += n_chosen
        self._epoch_offered += len(rows)
        self._epoch_selected += n_chosen
        return chosen

    def _probabilities(self, rows: Rows, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Probability of each of `rows` to be among the `k` that are drawn from them."""
        if not len(rows):
            return np.empty(0)
        loss = self._loss[rows]
        highest = float(np.nanmax(self._loss)) if not np.isnan(self._loss).all() else 1.0
        if np.isinf(self.preference):
            by_loss = np.lexsort((rng.random(len(rows)), -np.nan_to_num(loss, nan=np.inf)))
            probability = np.zeros(len(rows))
            probability[by_loss[:k]] = 1.0
            return probability
        relative = np.clip(np.nan_to_num(loss, nan=highest) / max(highest, 1e-300), 0, 1)
        weight = relative**self.preference
        return inclusion_probabilities(np.maximum(weight, FLOOR * weight.mean() + 1e-12), k)


def _whole(x: float) -> int:
    return math.floor(x + 1e-9)  # .29 * 100 is 29


#: what of a selection changes
COUNTS = ("offered", "selected", "epoch", "epoch_offered", "epoch_selected", "planned")
ARRAYS: dict[str, type[np.generic]] = {
    "loss": np.float64,
    "last": np.int64,
    "weight": np.float64,
    "chosen": np.int64,
}
