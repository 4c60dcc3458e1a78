"""Batches for a trainer, in an order that is keyed by (seed, epoch) and can be resumed."""

import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
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
        Processes that assemble batches, from the first epoch until `close`; 0 assembles in the
        training process, which is enough for rows in memory. Workers are spawned: forked ones
        break Lance.
    """

    def __init__(self, rows: Rows[B], batches: KeyedBatches, num_workers: int = 0) -> None:
        self.rows = rows
        self.order = batches
        # the one place where Lightning looks for set_epoch without taking this for a DataLoader
        self.batch_sampler = SimpleNamespace(sampler=batches)
        self._asked = _OfEpochs(batches)
        self._num_workers = num_workers
        self._processes: DataLoader[B] | None = None
        self._under_way: Generator[B] | None = None
        self._delivered = 0

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[B]:
        self._under_way = self._delivering()
        return self._under_way

    def close(self) -> None:
        """End the processes, and an epoch that is under way."""
        if self._under_way is not None:
            self._under_way.close()
        self._processes = None  # the last reference: PyTorch ends them

    def _delivering(self) -> Generator[B]:
        done = self._delivered
        for batch in self._assembled():
            done += 1
            # counted when it is handed over, not when it is assembled: a checkpoint written after
            # this batch's step goes on behind it
            self._delivered = done
            yield batch
        self._delivered = 0
        self.order.skip(0)

    def _assembled(self) -> Iterator[B]:
        if self._num_workers == 0:
            return (self.rows.assemble(*asked) for asked in self._asked)
        return self._from_processes()

    def _from_processes(self) -> Iterator[B]:
        if self._processes is None:
            self._processes = DataLoader(
                _Assembly(self.rows),  # type: ignore[arg-type]
                batch_sampler=self._asked,  # type: ignore[arg-type]
                collate_fn=_as_is,
                num_workers=self._num_workers,
                multiprocessing_context="spawn",
                persistent_workers=True,
            )
        try:
            with _asked_alone():
                batches = iter(self._processes)
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
            self._delivered = 0
            return
        try:
            self.order.load_state_dict(state)
        except ValueError as error:
            raise BadInput(f"resume: in the middle of an epoch, {error}") from error
        self._delivered = state["next_batch"]


class _OfEpochs:
    """What `assemble` is asked for; worker processes stay, so each batch names its epoch."""

    def __init__(self, order: KeyedBatches) -> None:
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[tuple[RowIndices, int]]:
        epoch = self._order.epoch
        return ((indices, epoch) for indices in self._order)


class _Assembly(Generic[B]):
    """Rows as a worker process sees them."""

    def __init__(self, rows: Rows[B]) -> None:
        self._rows = rows

    def __getitems__(self, asked: tuple[RowIndices, int]) -> B:
        return self._rows.assemble(*asked)


@contextmanager
def _asked_alone() -> Iterator[None]:
    """What asks a job to stop goes to all its processes; those started here do not hear it.

    They serve until the step is done, and so does Python's own, which clears up after them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_is(batch: B) -> B:
    return batch
