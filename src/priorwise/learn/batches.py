"""Which rows make up which batch, as a pure function of (seed, epoch)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RowIndices = NDArray[np.int64]


class KeyedBatches:
    """Batches of row indices; usable as the `batch_sampler` of a torch DataLoader.

    Each row occurs once an epoch over all ranks. A global batch of `batch_size * world_size` rows
    is dealt out to the ranks in turn, so every rank gets the same number of batches and none
    waits for another. The last, shorter global batch is dealt out the same way, parts differing
    by one row at most; if it has fewer rows than there are ranks it is joined to the one before.

    Parameters
    ----------
    n_rows : int
        Rows of the table.
    batch_size : int
        Rows in a batch of one rank.
    seed : int
        At least 0.
    shuffle : bool
        New order each epoch; False: table order.
    window : int
        Length bucketing: within this many consecutive global batches rows are sorted by length
        before they are cut into batches, which are then put in random order. 1 = none, the
        published i.i.d. shuffle; larger saves padding, at the price of rows of like length
        sharing a batch.
    block : int
        Rows that lie together in the table are shuffled as blocks of so many, and then within each
        window: a window's rows can be read in few, long reads. Divides the rows of a window. 1 =
        every row may come anywhere.
    lengths : array_like of shape (n_rows,), optional
        Length of each row (peaks); needed if window > 1.
    strata : array_like of shape (n_rows,), optional
        Kind of each row, any integers: although a window's rows are sorted by length, each of its
        batches then has every kind's share of the window, give or take as many rows as there are
        kinds. Without it a batch of long rows has the kinds that long rows are of.
    rank, world_size : int
        This process among all of them.
    drop_last : bool
        Leave the last, shorter batch out (other rows in each epoch if shuffled).

    Raises
    ------
    ValueError
        If an argument is out of its range, or there are fewer rows than ranks.
    """

    def __init__(
        self,
        n_rows: int,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool = True,
        window: int = 1,
        block: int = 1,
        lengths: ArrayLike | None = None,
        strata: ArrayLike | None = None,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("window", window), ("block", block)):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if seed < 0:
            raise ValueError(f"seed: expected at least 0, got {seed}")
        if world_size < 1 or not 0 <= rank < world_size:
            raise ValueError(f"rank: expected 0 <= rank < world_size, got {rank} of {world_size}")
        if n_rows < world_size:
            raise ValueError(f"n_rows: {n_rows} row(s) cannot be dealt out to {world_size} rank(s)")
        if drop_last and n_rows < batch_size * world_size:
            raise ValueError(
                f"drop_last: no batch is left of {n_rows} row(s), "
                f"a batch over all ranks has {batch_size * world_size}"
            )
        if window * batch_size * world_size % block:
            raise ValueError(
                f"block: expected a divisor of the {window * batch_size * world_size} rows of a "
                f"window, got {block}"
            )
        self._lengths = _of_rows("lengths", lengths, n_rows)
        self._strata = _of_rows("strata", strata, n_rows)
        if self._lengths is None and window > 1:
            raise ValueError("lengths: needed for window > 1")
        self.n_rows, self.batch_size, self.seed = n_rows, batch_size, seed
        self.shuffle, self.window, self.drop_last = shuffle, window, drop_last
        self.block = block
        self.rank, self.world_size = rank, world_size
        self.epoch = 0
        self._bounds = self._cut()
        self._start = self._next = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, at its first batch; naming the current one again changes nothing."""
        if epoch < 0:
            raise ValueError(f"epoch: expected at least 0, got {epoch}")
        if epoch != self.epoch:
            self.epoch, self._start, self._next = epoch, 0, 0

    def skip(self, n_batches: int) -> None:
        """Begin the current epoch at batch `n_batches`, as if those before had been yielded.

        Holds until another epoch is set.
        """
        if not 0 <= n_batches <= len(self):
            raise ValueError(f"n_batches: expected 0 to {len(self)}, got {n_batches}")
        self._start = self._next = n_batches

    def __len__(self) -> int:
        """Batches of a whole epoch on each rank, whatever is skipped."""
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[RowIndices]:
        """Batches left in the epoch, each an array of row indices of this rank."""
        return self._batches(self._order(), self._start)

    def state_dict(self) -> dict[str, Any]:
        """Where the order stands: the next batch to be yielded, and what the order depends on.

        A DataLoader with workers draws batches ahead of the training step; then keep the
        trainer's own count and give it to `skip`.
        """
        return {**self._key(), "epoch": self.epoch, "next_batch": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken.

        Raises
        ------
        ValueError
            If anything that shapes the order differs: the epoch would not be the same one.
        """
        for name, value in self._key().items():
            if state[name] != value:
                raise ValueError(f"{name}: the saved order has {state[name]}, this one {value}")
        self.set_epoch(state["epoch"])
        self.skip(state["next_batch"])

    def _key(self) -> dict[str, Any]:
        names = ("n_rows", "batch_size", "seed", "shuffle", "window", "block", "world_size")
        return {name: getattr(self, name) for name in (*names, "drop_last")}

    def _batches(self, order: RowIndices, start: int) -> Iterator[RowIndices]:
        for batch in range(start, len(self)):
            # counted before it is handed out: whoever asks for the state then has this batch
            self._next = batch + 1
            rows = order[slice(*self._bounds[batch : batch + 2])]
            if self._strata is not None and self.world_size > 1:
                # so that each rank gets its share of every stratum
                rows = rows[np.argsort(self._strata[rows], kind="stable")]
            yield rows[self.rank :: self.world_size]

    def _cut(self) -> list[int]:
        """Where each global batch starts in the order, and where the last one ends."""
        whole, rest = divmod(self.n_rows, self.batch_size * self.world_size)
        bounds = [i * self.batch_size * self.world_size for i in range(whole + 1)]
        if rest and not self.drop_last:
            if rest < self.world_size:
                bounds[-1] = self.n_rows
            else:
                bounds.append(self.n_rows)
        return bounds

    def _order(self) -> RowIndices:
        """Rows of the whole epoch over all ranks."""
        rng = np.random.default_rng([self.seed, self.epoch])
        order = self._drawn(rng)
        if self.window == 1 or self._lengths is None:
            return order
        # The rows of a short last batch stay as drawn: sorted, they would always be the longest.
        size = self.batch_size * self.world_size
        end = self.n_rows // size * size
        for first in range(0, end, self.window * size):
            rows = order[first : min(first + self.window * size, end)]
            batches = rows[self._by_length(rows)].reshape(-1, size)
            order[first : first + rows.size] = (
                rng.permutation(batches) if self.shuffle else batches
            ).ravel()
        return order

    def _drawn(self, rng: np.random.Generator) -> RowIndices:
        order = np.arange(self.n_rows, dtype=np.int64)
        if self.shuffle and self.block == 1:
            rng.shuffle(order)
        elif self.shuffle:
            # a last, shorter block comes last: windows begin with whole blocks
            whole = self.n_rows // self.block
            blocks = order[: whole * self.block].reshape(whole, self.block)
            order[: whole * self.block] = rng.permutation(blocks).ravel()
            rows = self.window * self.batch_size * self.world_size
            for first in range(0, self.n_rows, rows):
                rng.shuffle(order[first : first + rows])
        return order

    def _by_length(self, rows: RowIndices) -> RowIndices:
        """The order in which a window's rows are cut into batches: by length within each stratum.

        Row k of the n of its stratum stands at the quantile (k + 1/2) / n, and the strata are
        merged by quantile: any stretch of the merged rows then has of each stratum its share.
        """
        assert self._lengths is not None
        lengths = self._lengths[rows]
        if self._strata is None:
            return np.argsort(lengths, kind="stable")
        strata = self._strata[rows]
        order = np.lexsort((lengths, strata))
        _, first, n = np.unique(strata[order], return_index=True, return_counts=True)
        place = np.arange(len(rows)) - np.repeat(first, n)
        return order[np.argsort((place + 0.5) / np.repeat(n, n), kind="stable")]


def _of_rows(name: str, values: ArrayLike | None, n_rows: int) -> NDArray[Any] | None:
    if values is None:
        return None
    array = np.array(values)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: expected shape ({n_rows},), got {array.shape}")
    return array
