import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.learn.batches import KeyedBatches


def epoch(batches):
    return [part.tolist() for part in batches]


@st.composite
def shards(draw):
    """The arguments of one set of ranks, any that are allowed."""
    world_size = draw(st.integers(1, 5))
    batch_size = draw(st.integers(1, 7))
    n_rows = draw(st.integers(world_size, 120))
    window = draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, 400), min_size=n_rows, max_size=n_rows))
    arguments = {
        "n_rows": n_rows,
        "batch_size": batch_size,
        "world_size": world_size,
        "seed": draw(st.integers(0, 2**31)),
        "shuffle": draw(st.booleans()),
        "window": window,
        "lengths": lengths if window > 1 or draw(st.booleans()) else None,
        "block": draw(st.sampled_from([1, window, batch_size * world_size])),
        "strata": draw(st.none() | st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows)),
    }
    return arguments, draw(st.integers(0, 50))


@given(shards())
def test_each_row_once_an_epoch_over_all_ranks(case):
    arguments, number = case
    world_size, batch_size = arguments["world_size"], arguments["batch_size"]
    ranks = [KeyedBatches(**arguments, rank=rank) for rank in range(world_size)]
    for batches in ranks:
        batches.set_epoch(number)
    parts = [epoch(batches) for batches in ranks]
    rows = sorted(itertools.chain(*itertools.chain(*parts)))
    assert rows == list(range(arguments["n_rows"]))
    assert {len(p) for p in parts} == {len(ranks[0])}  # or DDP would hang
    for step in zip(*parts, strict=True):
        sizes = [len(part) for part in step]
        assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
        assert max(sizes) <= batch_size + 1
    for step in list(zip(*parts, strict=True))[:-1]:
        assert {len(part) for part in step} == {batch_size}


@given(shards())
def test_order_is_a_pure_function_of_seed_and_epoch(case):
    arguments, number = case
    one, other = KeyedBatches(**arguments), KeyedBatches(**arguments)
    for passed in (3, 0, number):  # history leaves no trace
        other.set_epoch(passed)
        epoch(other)
    one.set_epoch(number)
    assert epoch(one) == epoch(other) == epoch(one)


@given(shards(), st.data())
def test_skipping_drops_exactly_the_first_batches(case, data):
    arguments, number = case
    batches = KeyedBatches(**arguments)
    batches.set_epoch(number)
    whole = epoch(batches)
    n = data.draw(st.integers(0, len(whole)))
    batches.skip(n)
    assert epoch(batches) == whole[n:]
    assert len(batches) == len(whole)
    batches.set_epoch(number)  # as Lightning does at the start of the epoch it resumes
    assert epoch(batches) == whole[n:]
    batches.set_epoch(number + 1)
    assert len(epoch(batches)) == len(whole)


@given(shards(), st.data())
def test_state_taken_in_mid_epoch_goes_on_there(case, data):
    arguments, number = case
    first = KeyedBatches(**arguments)
    first.set_epoch(number)
    n = data.draw(st.integers(0, len(first)))
    done = [part.tolist() for part in itertools.islice(first, n)]
    second = KeyedBatches(**arguments)
    second.load_state_dict(first.state_dict())
    assert second.epoch == number
    first.skip(0)
    assert done + epoch(second) == epoch(first)


def test_epochs_and_seeds_differ_and_shuffle_is_a_permutation_of_all_rows():
    orders = set()
    for seed in (0, 1):
        batches = KeyedBatches(100, 100, seed=seed)
        for number in (0, 1):
            batches.set_epoch(number)
            (rows,) = epoch(batches)
            orders.add(tuple(rows))
    assert len(orders) == 4 and tuple(range(100)) not in orders


def test_every_row_is_equally_likely_in_every_batch():
    """Published shuffle, 3 batches of 4: each row falls in each batch a third of the time."""
    batches = KeyedBatches(12, 4, seed=0)
    hits = np.zeros((12, 3))
    for number in range(1500):
        batches.set_epoch(number)
        for i, rows in enumerate(batches):
            hits[rows, i] += 1
    np.testing.assert_allclose(hits / 1500, 1 / 3, atol=0.06)


def test_without_shuffle_rows_come_in_table_order():
    batches = KeyedBatches(7, 3, seed=0, shuffle=False)
    assert epoch(batches) == [[0, 1, 2], [3, 4, 5], [6]]
    batches.set_epoch(9)
    assert epoch(batches) == [[0, 1, 2], [3, 4, 5], [6]]


def test_uneven_tail_is_dealt_out_or_joined():
    def sizes(n_rows, world_size):
        return [
            [len(part) for part in KeyedBatches(n_rows, 4, seed=0, rank=r, world_size=world_size)]
            for r in range(world_size)
        ]

    assert sizes(13, 3) == [[5], [4], [4]]  # 1 row left for 3 ranks: joined
    assert sizes(15, 3) == [[4, 1], [4, 1], [4, 1]]
    assert sizes(17, 3) == [[4, 2], [4, 2], [4, 1]]
    assert sizes(2, 2) == [[1], [1]]


def test_drop_last_leaves_whole_batches_and_other_rows_each_epoch():
    batches = KeyedBatches(11, 4, seed=0, drop_last=True)
    seen = set()
    for number in range(20):
        batches.set_epoch(number)
        parts = epoch(batches)
        assert [len(part) for part in parts] == [4, 4] and len(batches) == 2
        seen.update(itertools.chain(*parts))
    assert seen == set(range(11))


def padding(lengths, batches):
    cells = sum(len(rows) * lengths[rows].max() for rows in batches)
    return 1 - lengths.sum() / cells


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_window_saves_padding(shuffle):
    lengths = np.random.default_rng(0).integers(8, 400, size=5000)
    waste = [
        padding(
            lengths,
            KeyedBatches(5000, 32, seed=0, shuffle=shuffle, window=window, lengths=lengths),
        )
        for window in (1, 8, 64)
    ]
    assert waste[0] > 0.4 and waste[1] < 0.15 and waste[2] < 0.04


def test_windowed_batches_do_not_come_sorted_by_length():
    lengths = np.random.default_rng(0).integers(8, 400, size=6400)
    batches = list(KeyedBatches(6400, 32, seed=0, window=50, lengths=lengths))
    means = [lengths[rows].mean() for rows in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3
    # nor do ranks get the short or the long half
    halves = [
        KeyedBatches(6400, 32, seed=0, window=50, lengths=lengths, rank=r, world_size=2)
        for r in (0, 1)
    ]
    means = [np.mean([lengths[rows].mean() for rows in half]) for half in halves]
    assert abs(means[0] - means[1]) < 2


def test_a_window_of_equal_lengths_still_shuffles():
    lengths = np.ones(64, dtype=int)
    batches = KeyedBatches(64, 8, seed=0, window=4, lengths=lengths)
    first = epoch(batches)
    batches.set_epoch(1)
    assert epoch(batches) != first and sorted(itertools.chain(*first)) == list(range(64))


def test_blocks_stay_in_one_window():
    block, window, size = 8, 6, 4  # three blocks a window
    batches = KeyedBatches(203, size, seed=3, window=window, block=block, lengths=[1] * 203)
    order = np.concatenate(list(batches))
    for first in range(0, 203, window * size):
        rows = order[first : first + window * size]
        assert len(set((rows // block).tolist())) <= window * size // block + 1
        assert (np.diff(rows) != 1).mean() > 0.5  # shuffled within
    starts = order[:: window * size] // block
    batches.set_epoch(1)
    assert (np.concatenate(list(batches))[:: window * size] // block).tolist() != starts.tolist()


@pytest.mark.parametrize("world_size", [1, 2])
def test_every_batch_has_its_share_of_each_stratum(world_size):
    rng = np.random.default_rng(5)
    strata = rng.choice(4, 64 * 32, p=[0.02, 0.28, 0.1, 0.6])
    lengths = rng.integers(8, 100, len(strata)) + 80 * strata  # kinds of very different lengths
    given = {"seed": 1, "window": 16, "lengths": lengths, "strata": strata}
    sizes = []
    for rank in range(world_size):
        batches = KeyedBatches(
            len(strata), 64 // world_size, rank=rank, world_size=world_size, **given
        )
        for rows in batches:
            sizes.append(np.bincount(strata[rows], minlength=4))
    expected = np.bincount(strata) / len(strata) * 64 / world_size
    within = 4 if world_size == 1 else 4 / 2 + 1
    assert np.abs(np.array(sizes) - expected).max() <= within
    assert np.min(sizes, axis=0)[1:].min() >= 1
    plain = [rows for rows in KeyedBatches(len(strata), 64, seed=1, window=16, lengths=lengths)]
    assert 0 in np.bincount(strata[plain[0]], minlength=4)  # what strata are for


def test_strata_of_like_lengths_still_save_padding():
    rng = np.random.default_rng(6)
    lengths, strata = rng.integers(8, 401, 256 * 64), rng.choice(4, 256 * 64)
    given = {"seed": 1, "lengths": lengths, "strata": strata}

    def waste(window):
        rows = KeyedBatches(len(lengths), 256, window=window, **given)
        return np.mean([1 - lengths[r].mean() / lengths[r].max() for r in rows])

    assert waste(1) > 0.4 and waste(64) < 0.05


def test_state_of_another_order_is_refused():
    state = KeyedBatches(100, 8, seed=0).state_dict()
    with pytest.raises(ValueError, match="^seed:"):
        KeyedBatches(100, 8, seed=1).load_state_dict(state)
    with pytest.raises(ValueError, match="^n_rows:"):
        KeyedBatches(99, 8, seed=0).load_state_dict(state)
    with pytest.raises(ValueError, match="^world_size:"):
        KeyedBatches(100, 8, seed=0, world_size=2).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"n_rows": 0}, "n_rows"),
        ({"n_rows": 2, "world_size": 3}, "n_rows"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"window": 0}, "window"),
        ({"window": 2}, "lengths"),
        ({"block": 0}, "block"),
        ({"block": 3}, "block"),
        ({"strata": [1, 2]}, "strata"),
        ({"lengths": [1, 2]}, "lengths"),
        ({"rank": 1}, "rank"),
        ({"rank": -1}, "rank"),
        ({"world_size": 0}, "rank"),
        ({"batch_size": 11, "drop_last": True}, "drop_last"),
    ],
)
def test_bad_arguments_are_named(change, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        KeyedBatches(**({"n_rows": 10, "batch_size": 4, "seed": 0} | change))
    batches = KeyedBatches(10, 4, seed=0)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match="^n_batches:"):
            batches.skip(wrong)
    with pytest.raises(ValueError, match="^epoch:"):
        batches.set_epoch(-1)


def test_serves_as_a_batch_sampler():
    torch = pytest.importorskip("torch")
    loader = torch.utils.data.DataLoader(
        torch.arange(10), batch_sampler=KeyedBatches(10, 4, seed=0)
    )
    assert len(loader) == 3
    assert torch.cat(list(loader)).sort().values.tolist() == list(range(10))
