import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from priorwise.learn.sparse import SparseSelection
from priorwise.learn.sparse_batches import SelectedBatches


def epoch(batches):
    return [part.tolist() for part in batches]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 150),
    st.sampled_from([0.4, 0.37, 0.5, 1.0]),
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(1, 5),
)
def test_the_plan_in_even_batches_over_all_ranks(n_rows, target, size, world_size, window):
    ranks = []
    for rank in range(world_size):
        selection = SparseSelection(n_rows, target, seed=1)
        lengths = np.arange(n_rows)[::-1]
        ranks.append(
            SelectedBatches(
                selection,
                size,
                seed=5,
                window=window,
                lengths=lengths,
                rank=rank,
                world_size=world_size,
            )
        )
    for number in range(5):
        for batches in ranks:
            batches.set_epoch(number)
        parts = [epoch(batches) for batches in ranks]
        planned = ranks[0].selection.epoch_rows(number).tolist()
        assert sorted(itertools.chain(*itertools.chain(*parts))) == planned
        assert {len(part) for part in parts} == {len(ranks[0])}  # always
        sizes = [len(batch) for part in parts for batch in part]
        assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 2
        if len(planned) >= size * world_size:
            assert max(sizes) <= size + 1
        whole = [sum(map(len, step)) for step in zip(*parts, strict=True)]
        assert max(whole) - min(whole) <= 1 and max(whole) <= size * world_size + world_size


def test_no_remnants():
    batches = SelectedBatches(SparseSelection(4082, seed=0), 16, seed=0)
    for number in range(4):
        batches.set_epoch(number)
        sizes = [len(rows) for rows in batches]
        assert len(sizes) == 103 and set(sizes) == {15, 16}


def test_a_window_saves_padding_and_batches_come_in_random_order():
    lengths = np.random.default_rng(0).integers(8, 400, size=5000)

    def batches(window):
        return list(
            SelectedBatches(
                SparseSelection(5000, seed=0), 32, seed=0, window=window, lengths=lengths
            )
        )

    waste = []
    for window in (1, 8, 64):
        parts = batches(window)
        waste.append(
            1 - sum(lengths[r].sum() for r in parts) / sum(len(r) * lengths[r].max() for r in parts)
        )
    assert waste[0] > 0.4 and waste[1] < 0.15 and waste[2] < 0.05
    means = [lengths[rows].mean() for rows in batches(64)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.4


def test_goes_on_in_the_middle_of_an_epoch():
    first = SelectedBatches(SparseSelection(100, seed=0), 7, seed=1)
    first.set_epoch(2)
    done = epoch(itertools.islice(first, 3))
    order, chosen = first.state_dict(), first.selection.state_dict()
    rest = epoch(first)[3:]
    second = SelectedBatches(SparseSelection(100, seed=0), 7, seed=1)
    second.load_state_dict(order)
    second.selection.load_state_dict(chosen)
    assert len(done) == 3 and epoch(second) == rest
    with pytest.raises(ValueError, match="^seed:"):
        SelectedBatches(SparseSelection(100, seed=0), 7, seed=2).load_state_dict(order)


def test_losses_known_when_the_epoch_begins_count():
    chosen = []
    for high in (range(50), range(50, 100)):
        selection = SparseSelection(100, seed=0, preference=float("inf"))
        batches = SelectedBatches(selection, 8, seed=0)
        selection.update(range(100), np.isin(np.arange(100), list(high)) * 1.0)
        chosen.append(set(itertools.chain(*epoch(batches))))
    assert chosen[0] <= set(range(50)) and chosen[1] <= set(range(50, 100))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="^batch_size:"):
        SelectedBatches(SparseSelection(10, seed=0), 0, seed=0)
    with pytest.raises(ValueError, match="^lengths:"):
        SelectedBatches(SparseSelection(10, seed=0), 2, seed=0, window=2)
    with pytest.raises(ValueError, match="^n_rows: 4 row"):
        SelectedBatches(SparseSelection(10, seed=0), 2, seed=0, world_size=5)
