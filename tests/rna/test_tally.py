"""Metrics of an epoch: of all its batches together, and never a mean of means."""

import math

import pytest
import torch
from tests.reference import rna_losses as plain
from tests.rna.made import as_reference, batch_of, random_answer, random_rows

from priorwise.rna.network import RnaAnswer
from priorwise.rna.objective import RnaObjective
from priorwise.rna.tally import EpochTally, called_pairs, ratio

LENGTHS = (13, 22, 1, 30, 17, 5, 9, 28)
FORMS = [{}, {"focal_normalizer": "cells"}, {"use_focal_loss_for_pairs": False}]


def tallied(objective, threshold, rows, answer, parts):
    """The tally of an epoch whose batches are `parts`."""
    tally = EpochTally(objective, threshold)
    for part in parts:
        batch = batch_of(rows, part)
        width = batch.present.shape[1]
        own = RnaAnswer(
            answer.nucleotides[part, :width],
            answer.loops[part, :width],
            answer.pairs[part, :width, :width],
        )
        tally.add(own, batch, objective.sums(own, batch))
    return tally


@pytest.mark.parametrize("threshold", [0.35, 0.7])
@pytest.mark.parametrize("form", FORMS)
def test_metrics_of_an_epoch_are_those_of_one_giant_batch(form, threshold):
    rows = random_rows(lengths=LENGTHS, unlabelled=(1, 6))
    answer, objective = random_answer(rows), RnaObjective(**form)
    wanted = plain.metrics(
        as_reference(rows, answer, batch_of(rows)),
        threshold,
        normalizer=objective.focal_normalizer,
        focal=objective.use_focal_loss_for_pairs,
    )
    assert 0 < wanted["pair_precision"] < 1 and 0 < wanted["structure_accuracy"] < 1
    for parts in ([list(range(8))], [[0, 3], [7, 1, 2], [6], [5, 4]], [[k] for k in range(8)]):
        found = tallied(objective, threshold, rows, answer, parts).metrics("val")
        assert found.keys() == {f"val_{name}" for name in wanted}
        for name, value in wanted.items():
            assert found[f"val_{name}"] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_a_cell_at_the_threshold_is_called():
    rows = random_rows(lengths=(12,), unlabelled=())
    batch, objective = batch_of(rows), RnaObjective()
    answer = random_answer(rows)._replace(pairs=torch.zeros(1, 16, 16))
    cells = objective.sums(answer, batch).cells.sum()
    for threshold, called in ((0.5, int(cells)), (0.5001, 0)):
        tally = EpochTally(objective, threshold)
        tally.add(answer, batch, objective.sums(answer, batch))
        assert tally.counts[3] == called
    from priorwise.rna.objective import counted_cells

    assert int(called_pairs(counted_cells(answer.pairs, batch), 0.0).sum()) == int(cells)


def test_the_seeds_scale_is_another_look_at_the_same_sums():
    rows = random_rows()
    answer = random_answer(rows)
    objective = RnaObjective(pair_loss_weight=0.2)
    tally = tallied(objective, 0.5, rows, answer, [[0, 1, 2], [3, 4, 5]])
    wanted = plain.losses(as_reference(rows, answer, batch_of(rows)), normalizer="cells")[0]
    assert tally.loss_on_scale_of(RnaObjective(), "cells") == pytest.approx(wanted, rel=1e-5)


def test_nothing_is_zero_and_not_nan():
    found = EpochTally(RnaObjective(), 0.35).metrics("train")
    assert set(found.values()) == {0.0}
    assert ratio(0, 0) == 0.0 and ratio(1, 4) == 0.25
    unlabelled = random_rows(unlabelled=range(6))
    tally = tallied(RnaObjective(), 0.35, unlabelled, random_answer(unlabelled), [list(range(6))])
    found = tally.metrics("val")
    assert found["val_pair_f1"] == found["val_structure_accuracy"] == 0
    assert found["val_mlm_loss"] > 0 and all(map(math.isfinite, found.values()))


def test_the_state_goes_on():
    rows, objective = random_rows(), RnaObjective()
    answer = random_answer(rows)
    whole = tallied(objective, 0.35, rows, answer, [[0, 1], [2, 3], [4, 5]])
    begun = tallied(objective, 0.35, rows, answer, [[0, 1]])
    state = begun.state()
    assert all(type(value) is float for value in state)  # a checkpoint without pickle holds it
    rest = EpochTally(objective, 0.35)
    rest.restore(state)
    for part in ([2, 3], [4, 5]):
        more = tallied(objective, 0.35, rows, answer, [part])
        rest.sums += more.sums
        rest.counts += more.counts
    assert rest.metrics("x") == whole.metrics("x")
