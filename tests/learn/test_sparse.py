"""C10: activation exact, every row revisited in time, off is plain, resumed is the same."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.sparse import Ledger

from priorwise.learn.sparse import SparseSelection


def losses_of(rows, epoch):
    """Made-up losses that differ from row to row and fall."""
    return np.exp(np.sin(np.asarray(rows) * 12.9898) * 2 - epoch / 10)


def stored(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def train(selection, epochs, batch, whole, ledger=None, first=0):
    """Rows trained in each step, over epochs whose order is another one each time."""
    trained = []
    for epoch in range(first, epochs):
        if whole:
            rows = selection.epoch_rows(epoch)
            if ledger:
                ledger.note(epoch, range(selection.n_rows), rows)
            parts = np.array_split(rows, max(len(rows) // batch, 1))
        else:
            order = np.random.default_rng(epoch).permutation(selection.n_rows)
            parts = []
            for step, start in enumerate(range(0, len(order), batch)):
                offered = order[start : start + batch]
                mask = selection.select(offered, epoch, step)
                assert mask.dtype == bool and mask.shape == offered.shape
                if ledger:
                    ledger.note(epoch, offered, offered[mask])
                parts.append(offered[mask])
                selection.update(parts[-1], losses_of(parts[-1], epoch))
        for part in parts:
            if whole:
                selection.update(part, losses_of(part, epoch))
            trained.append(part.tolist())
    return trained


@st.composite
def selections(draw):
    n_rows = draw(st.integers(3, 150))
    target = draw(st.floats(0.34, 1))
    least = int(target * n_rows + 1e-9)
    revisit = -(-n_rows // least) + draw(st.integers(0, 6))
    return {
        "n_rows": n_rows,
        "target": target,
        "seed": draw(st.integers(0, 2**31)),
        "ema": draw(st.floats(0.05, 1)),
        "revisit": revisit,
        "preference": draw(st.sampled_from([0.0, 1.0, 3.0, math.inf])),
    }


@settings(max_examples=60, deadline=None)
@given(selections())
def test_planned_epochs_keep_both_promises(options):
    selection, ledger = SparseSelection(**options), Ledger(options["n_rows"])
    epochs = 2 * options["revisit"] + 3
    train(selection, epochs, 16, True, ledger)
    for offered, selected in ledger.rates:
        assert abs(selected - options["target"] * offered) <= 0.5 + 1e-6
        assert offered < 100 or abs(selected / offered - options["target"]) <= 0.01
    assert ledger.longest_gap(epochs) <= options["revisit"]
    least = selection.least_per_epoch
    sizes = np.diff([0, *(selected for _, selected in ledger.rates)])
    assert least <= sizes.min() and sizes.max() <= selection.most_per_epoch <= least + 1


@settings(max_examples=60, deadline=None)
@given(selections(), st.integers(1, 40))
def test_thinned_batches_revisit_in_time_and_pay_back(options, batch):
    selection, ledger = SparseSelection(**options), Ledger(options["n_rows"])
    epochs = 2 * options["revisit"] + 3
    train(selection, epochs, batch, False, ledger)
    assert ledger.longest_gap(epochs) <= options["revisit"]
    behind = [options["target"] * offered - selected for offered, selected in ledger.rates]
    assert max(behind) <= 0.5 + 1e-6  # never below the target; above only to be in time


@pytest.mark.parametrize(("batch", "preference"), [(8, 1), (16, 1), (32, 1), (16, 4), (16, 1e9)])
def test_thinned_batches_stay_at_the_target_from_100_samples_on(batch, preference):
    selection, ledger = SparseSelection(1000, seed=1, preference=preference), Ledger(1000)
    train(selection, 40, batch, False, ledger)
    rates = np.array([s / n for n, s in ledger.rates if n >= 100])
    assert np.abs(rates - 0.4).max() <= 0.01
    assert ledger.longest_gap(40) <= 10


def test_first_visits_are_random_at_the_target():
    hits = np.zeros(50)
    for seed in range(400):
        rows = SparseSelection(50, seed=seed).epoch_rows(0)
        assert len(rows) == 20
        hits[rows] += 1
    np.testing.assert_allclose(hits / 400, 0.4, atol=0.11)  # 4 standard deviations
    mask = SparseSelection(50, seed=0).select(np.arange(40), 0, 0)
    assert mask.sum() == 16


@pytest.mark.parametrize("whole", [True, False])
def test_high_losses_are_preferred_and_rows_without_one_count_as_the_highest(whole):
    selection = SparseSelection(200, seed=0, revisit=50)
    selection.update(np.arange(100), np.r_[np.full(50, 0.1), np.full(50, 1.0)])
    if whole:
        rows = selection.epoch_rows(0)
    else:
        rows = np.flatnonzero(selection.select(np.arange(200), 0, 0))
    low, high, none = np.histogram(rows, [0, 50, 100, 200])[0]
    assert low <= 6 and 22 <= high <= 31 and 44 <= none <= 57 and low + high + none == 80


def test_an_infinite_preference_takes_the_highest():
    selection = SparseSelection(10, seed=0, preference=math.inf)
    selection.update(range(10), [1, 9, 2, 8, 3, 7, 4, 6, 5, 0])
    assert selection.epoch_rows(0).tolist() == [1, 3, 5, 7]
    with pytest.raises(ValueError, match="^weights:"):
        selection.weights([1])


def test_losses_are_averaged():
    selection = SparseSelection(4, 0.5, seed=0, ema=0.25)
    selection.update([1], [4.0])
    selection.update(torch.tensor([1, 2]), torch.tensor([2.0, 5.0]))
    selection.update([1, 3], [math.nan, math.inf])
    np.testing.assert_allclose(selection.state_dict()["loss"], [math.nan, 3.5, 5.0, math.nan])
    assert selection.statistics()["unseen"] == 2 and selection.statistics()["mean_loss"] == 4.25


@pytest.mark.parametrize("whole", [True, False])
def test_weights_make_means_unbiased(whole):
    """Of rows with known losses; the mean over many independent draws."""
    value = np.r_[np.full(150, 0.2), np.full(50, 3.0)]
    plain, weighted = [], []
    for seed in range(500):
        selection = SparseSelection(200, seed=seed)
        selection.update(range(200), value)
        rows = (
            selection.epoch_rows(0) if whole else np.flatnonzero(selection.select(range(200), 0, 0))
        )
        plain.append(value[rows].mean())
        weighted.append((selection.weights(rows) * value[rows]).mean())
    assert np.mean(plain) > 1.5
    assert np.mean(weighted) == pytest.approx(value.mean(), rel=0.02)


@pytest.mark.parametrize("whole", [True, False])
def test_off_is_plain_training(whole):
    selection = SparseSelection(23, 1.0, seed=0, revisit=1)
    trained = train(selection, 3, 5, whole)
    assert sorted(sum(trained, [])) == sorted(list(range(23)) * 3)
    assert set(selection.weights(range(23))) == {1.0}
    assert selection.statistics()["activation_total"] == 1


@pytest.mark.parametrize("whole", [True, False])
@settings(max_examples=20, deadline=None)
@given(selections(), st.integers(0, 7))
def test_resumed_is_the_same(whole, options, cut):
    plain = SparseSelection(**options)
    expected = train(plain, 8, 10, whole)
    first = SparseSelection(**options)
    trained = train(first, cut, 10, whole)
    second = SparseSelection(**options)
    second.load_state_dict(stored(first.state_dict()))
    trained += train(second, 8, 10, whole, first=cut)
    assert trained == expected
    np.testing.assert_equal(second.state_dict(), plain.state_dict())
    if not math.isinf(options["preference"]):
        every = range(options["n_rows"])
        np.testing.assert_equal(second.weights(every), plain.weights(every))


def test_resumed_in_the_middle_of_an_epoch():
    order = np.random.default_rng(0).permutation(60)
    one = SparseSelection(60, seed=3)
    train(one, 9, 10, False)
    saved = []
    for step in range(6):
        saved.append(stored(one.state_dict()))
        one.select(order[step * 10 : step * 10 + 10], 9, step)
    for step in range(6):
        other = SparseSelection(60, seed=3)
        other.load_state_dict(saved[step])
        for later in range(step, 6):
            other.select(order[later * 10 : later * 10 + 10], 9, later)
        np.testing.assert_equal(other.state_dict(), one.state_dict())


def test_a_plan_survives_losses_and_a_resume():
    one = SparseSelection(60, seed=3)
    train(one, 4, 10, True)
    rows = one.epoch_rows(4)
    one.update(rows[:10], np.full(10, 50.0))
    assert one.epoch_rows(4).tolist() == rows.tolist()
    other = SparseSelection(60, seed=3)
    other.load_state_dict(stored(one.state_dict()))
    assert other.epoch_rows(4).tolist() == rows.tolist()
    assert other.epoch_rows(5).tolist() == one.epoch_rows(5).tolist()


def test_seeds_and_epochs_differ():
    chosen = {tuple(SparseSelection(50, seed=s).epoch_rows(e)) for s in (0, 1) for e in (0, 1)}
    assert len(chosen) == 4


def test_choices_within_batches_differ_by_seed_epoch_and_step():
    chosen = set()
    for seed, epoch, step in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        mask = SparseSelection(50, seed=seed).select(range(50), epoch, step)
        chosen.add(tuple(np.flatnonzero(mask)))
    assert len(chosen) == 4


def test_statistics():
    selection = SparseSelection(100, seed=0)
    assert selection.statistics()["activation_rate"] == 0
    train(selection, 12, 10, True)
    found = selection.statistics()
    assert found["activation_rate"] == found["activation_total"] == 0.4
    assert found["unseen"] == 0 and found["longest_wait"] <= 9


def test_modes_are_not_mixed_within_an_epoch_and_epochs_do_not_go_back():
    selection = SparseSelection(10, seed=0)
    selection.epoch_rows(2)
    with pytest.raises(ValueError, match="^epoch: 2 was planned"):
        selection.select([1], 2, 0)
    with pytest.raises(ValueError, match="^epoch: expected at least 2"):
        selection.epoch_rows(1)
    selection.select(range(5), 3, 0)
    with pytest.raises(ValueError, match="^epoch: 3 was begun"):
        selection.epoch_rows(3)
    with pytest.raises(ValueError, match="^epoch: expected at least 3"):
        selection.select([1], 0, 0)


def test_state_of_another_selection_is_refused():
    state = SparseSelection(10, seed=0).state_dict()
    for change in ({"n_rows": 11}, {"seed": 1}, {"target": 0.5}, {"ema": 0.5}, {"revisit": 9}):
        with pytest.raises(ValueError, match=f"^{next(iter(change))}:"):
            SparseSelection(**({"n_rows": 10, "seed": 0} | change)).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"target": 0}, "target"),
        ({"target": 1.1}, "target"),
        ({"seed": -1}, "seed"),
        ({"ema": 0}, "ema"),
        ({"preference": -1}, "preference"),
        ({"preference": math.nan}, "preference"),
        ({"n_rows": 2}, "n_rows"),
        ({"revisit": 2}, "revisit"),
    ],
)
def test_bad_arguments_are_named(change, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        SparseSelection(**({"n_rows": 10, "seed": 0} | change))
    with pytest.raises(ValueError, match="^losses:"):
        SparseSelection(10, seed=0).update([1, 2], [1.0])


def test_targets_that_no_binary_fraction_hits():
    assert SparseSelection(100, 0.29, seed=0).least_per_epoch == 29
    assert SparseSelection(100, 0.29, seed=0).most_per_epoch == 29
