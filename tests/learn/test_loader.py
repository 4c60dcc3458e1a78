"""Processes that assemble batches: what comes is what would come without them."""

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from priorwise.learn.batches import KeyedBatches
from priorwise.learn.loader import RowLoader

N, BATCH, WORKERS = 40, 4, 2
EPOCHS = 3


def loader(n_workers):
    """Batches that name their rows, and their epoch last; the processes know numpy only."""
    rows = SimpleNamespace(assemble=np.append)
    return RowLoader(rows, KeyedBatches(N, BATCH, seed=3), n_workers)


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture
def others():
    """Processes that were there before."""
    return children()


def in_epoch(rows, epoch):
    rows.order.set_epoch(epoch)
    return [batch.tolist() for batch in rows]


def test_the_same_batches_from_the_same_processes_in_every_epoch(others):
    rows, plain = loader(WORKERS), loader(0)
    started = []
    for epoch in range(EPOCHS):
        batches = in_epoch(rows, epoch)
        assert batches == in_epoch(plain, epoch)
        assert all(batch[-1] == epoch for batch in batches)
        started.append(children() - others)
    assert len(started[0]) >= WORKERS and started == [started[0]] * EPOCHS
    rows.close()
    left = [psutil.Process(pid) for pid in children() - others]
    assert not [process for process in left if "spawn_main" in " ".join(process.cmdline())]


def test_an_epoch_that_was_broken_off_leaves_nothing_to_the_next():
    rows, plain = loader(WORKERS), loader(0)
    rows.order.set_epoch(0)
    for n, _ in enumerate(rows):
        if n == 3:
            break
    rows.load_state_dict({**rows.state_dict(), "epoch": 1, "next_batch": 0})
    assert in_epoch(rows, 1) == in_epoch(plain, 1)
    rows.close()


def test_it_goes_on_where_another_stood():
    first = loader(WORKERS)
    begun = iter(first)
    seen = [next(begun).tolist() for _ in range(4)]
    state = first.state_dict()
    first.close()  # in the middle: what was assembled ahead is forgotten
    assert state["next_batch"] == 4
    again = loader(WORKERS)
    again.load_state_dict(state)
    rest = [batch.tolist() for batch in again]
    assert seen + rest == in_epoch(loader(0), 0)
    assert in_epoch(again, 1) == in_epoch(loader(0), 1)
    again.close()


def test_closing_what_never_began_or_is_closed_is_nothing(others):
    for n_workers in (0, WORKERS):
        rows = loader(n_workers)
        rows.close()
        rows.close()
    assert children() == others
