"""Full batches of the rows that sparse training has chosen for an epoch."""

import numpy as np
from numpy.typing import ArrayLike

from priorwise.learn.batches import KeyedBatches, RowIndices
from priorwise.learn.sparse import SparseSelection


class SelectedBatches(KeyedBatches):
    """Batches of the rows that a `SparseSelection` plans for an epoch.

    An epoch has the same number of batches always, although plans differ by a row: the rows are
    dealt out evenly, so that batches, too, differ by one row at most and none is a remnant. The
    length of a training, which a learning-rate schedule needs, is then known in advance.

    The plan of an epoch is made when its batches are asked for, from the losses known by then.

    Parameters
    ----------
    selection : SparseSelection
        Give it the losses of each step; its state is to be saved beside that of this one.
    batch_size : int
        Rows in a batch of one rank at most.
    seed, window, lengths, rank, world_size
        See `KeyedBatches`.
    """

    def __init__(
        self,
        selection: SparseSelection,
        batch_size: int,
        *,
        seed: int,
        window: int = 1,
        lengths: ArrayLike | None = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.selection = selection
        super().__init__(
            selection.n_rows,
            batch_size,
            seed=seed,
            window=window,
            lengths=lengths,
            rank=rank,
            world_size=world_size,
        )

    def _cut(self) -> list[int]:
        """Where each global batch of the largest plan starts, and where the last one ends."""
        least, most = self.selection.least_per_epoch, self.selection.most_per_epoch
        if least < self.world_size:
            raise ValueError(
                f"n_rows: {least} row(s) cannot be dealt out to {self.world_size} rank(s)"
            )
        full = -(-most // (self.batch_size * self.world_size))
        # a smaller plan, too, must have a row for every rank in each batch
        return _even(most, min(full, least // self.world_size))

    def _order(self) -> RowIndices:
        """Rows of the plan over all ranks, in batches whose bounds it sets."""
        rng = np.random.default_rng([self.seed, self.epoch])
        rows = rng.permutation(self.selection.epoch_rows(self.epoch))
        bounds = _even(len(rows), len(self))
        if self._lengths is not None and self.window > 1:
            ends = [*bounds[:: self.window], len(rows)]
            for first, last in zip(ends[:-1], ends[1:], strict=True):
                part = rows[first:last]
                rows[first:last] = part[np.argsort(self._lengths[part], kind="stable")]
        batches = np.split(rows, bounds[1:-1])
        shuffled = [batches[i] for i in rng.permutation(len(batches))]
        self._bounds = [0, *np.cumsum([len(batch) for batch in shuffled]).tolist()]
        return np.concatenate(shuffled)


def _even(n_rows: int, parts: int) -> list[int]:
    """Bounds of parts that differ by one row at most."""
    return [i * n_rows // parts for i in range(parts + 1)]
