"""Batches for a trainer, in an order that is keyed by (seed, epoch) and can be resumed."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Generic, Protocol, TypeVar

from torch.utils.data import DataLoader

from priorwise.errors import BadInput, LoaderKilled
from priorwise.learn.batches import KeyedBatches, RowIndices

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)
#: in the text of an error that was raised in a loader process
OF_A_WORKER = "in DataLoader worker process"


class Rows(Protocol[B_co]):
    """Rows that can be put together to batches."""

    def assemble(self, indices: RowIndices, epoch: int) -> B_co:
        """The rows `indices` as one batch, as they are in this epoch."""


class RowLoader(Generic[B]):
    """Iterable of batches; Lightning sets the epoch of its order and saves its state.

    Parameters
    ----------
    rows : Rows
    batches : KeyedBatches
        The order.
    num_workers : int
        Processes that assemble batches; 0 assembles in the training process, which is enough
        for rows in memory. Workers are spawned: forked ones break Lance.
    """

    def __init__(self, rows: Rows[B], batches: KeyedBatches, num_workers: int = 0) -> None:
        self.rows = rows
        self.order = batches
        # the one place where Lightning looks for set_epoch without taking this for a DataLoader
        self.batch_sampler = SimpleNamespace(sampler=batches)
        self._num_workers = num_workers
        self._delivered = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[B]:
        done = self._delivered
        for batch in self._assembled():
            done += 1
            # counted as delivered only when the next one is asked for or the epoch ends: a
            # checkpoint written after this batch's step must go on behind it
            self._delivered = done
            yield batch
        self._delivered = 0
        self.order.skip(0)

    def _assembled(self) -> Iterator[B]:
        if self._num_workers == 0:
            epoch = self.order.epoch
            return (self.rows.assemble(indices, epoch) for indices in self.order)
        return self._from_processes()

    def _from_processes(self) -> Iterator[B]:
        batches: DataLoader[B] = DataLoader(
            _InEpoch(self.rows, self.order.epoch),  # type: ignore[arg-type]
            batch_sampler=self.order,  # type: ignore[arg-type]
            collate_fn=_as_is,
            num_workers=self._num_workers,
            multiprocessing_context="spawn",
            worker_init_fn=_unmoved,
        )
        try:
            yield from batches
        except (OSError, EOFError) as error:
            if OF_A_WORKER in str(error):
                raise
            # a batch is fetched from the process that made it, which is gone
            raise LoaderKilled(f"is gone ({error})") from error

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch stands."""
        return {**self.order.state_dict(), "next_batch": self._delivered % max(len(self), 1)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there.

        Between two epochs there is nothing to go on in: the next one may be cut otherwise.

        Raises
        ------
        BadInput
            If the epoch was cut otherwise, for example among another number of processes.
        """
        if not state["next_batch"]:
            self.order.set_epoch(state["epoch"])
            return
        try:
            self.order.load_state_dict(state)
        except ValueError as error:
            raise BadInput(f"resume: in the middle of an epoch, {error}") from error
        self._delivered = state["next_batch"]


class _InEpoch(Generic[B]):
    """Rows of one epoch, as a worker process sees them."""

    def __init__(self, rows: Rows[B], epoch: int) -> None:
        self._rows, self._epoch = rows, epoch

    def __getitems__(self, indices: RowIndices) -> B:
        return self._rows.assemble(indices, self._epoch)


def _unmoved(worker: int) -> None:
    """What asks a job to stop goes to all its processes; a worker serves until the step is done."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def _as_is(batch: B) -> B:
    return batch
