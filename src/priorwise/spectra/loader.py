"""Batches for a trainer, in an order that is keyed by (seed, epoch) and can be resumed."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from torch.utils.data import DataLoader

from priorwise.errors import BadInput
from priorwise.learn.batches import KeyedBatches
from priorwise.spectra.rows import SpectraBatch, SpectraRows


class RowLoader:
    """Iterable of `SpectraBatch`; Lightning sets the epoch of its order and saves its state.

    Parameters
    ----------
    rows : SpectraRows
    batches : KeyedBatches
        The order.
    num_workers : int
        Processes that assemble batches; 0 assembles in the training process, which is enough
        for rows in memory. Workers are spawned: forked ones break Lance.
    """

    def __init__(self, rows: SpectraRows, batches: KeyedBatches, num_workers: int = 0) -> None:
        self.rows = rows
        self.order = batches
        # the one place where Lightning looks for set_epoch without taking this for a DataLoader
        self.batch_sampler = SimpleNamespace(sampler=batches)
        self._num_workers = num_workers
        self._delivered = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[SpectraBatch]:
        done = self._delivered
        for batch in self._assembled():
            done += 1
            # counted as delivered only when the next one is asked for or the epoch ends: a
            # checkpoint written after this batch's step must go on behind it
            self._delivered = done
            yield batch
        self._delivered = 0
        self.order.skip(0)

    def _assembled(self) -> Iterator[SpectraBatch]:
        if self._num_workers == 0:
            return (self.rows.__getitems__(indices) for indices in self.order)
        return iter(
            DataLoader(
                self.rows,  # type: ignore[arg-type]
                batch_sampler=self.order,  # type: ignore[arg-type]
                collate_fn=_as_is,  # type: ignore[arg-type]
                num_workers=self._num_workers,
                multiprocessing_context="spawn",
            )
        )

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands."""
        return {**self.order.state_dict(), "next_batch": self._delivered % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there.

        Raises
        ------
        BadInput
            If the epoch was cut otherwise, for example among another number of processes.
        """
        try:
            self.order.load_state_dict(state)
        except ValueError as error:
            raise BadInput(f"resume: in the middle of an epoch, {error}") from error
        self._delivered = state["next_batch"]


def _as_is(batch: SpectraBatch) -> SpectraBatch:
    return batch
