"""The three losses, sequence by sequence against plain Python."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.reference import rna_losses as plain
from tests.rna.made import (
    as_reference,
    batch_of,
    random_answer,
    random_rows,
    record,
    with_teacher,
)

from priorwise.rna.batches import assemble
from priorwise.rna.masking import IGNORED
from priorwise.rna.network import RnaAnswer
from priorwise.rna.objective import RnaObjective, counted_cells
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of

FORMS = [
    {},
    {"focal_normalizer": "cells"},
    {"focal_alpha": 0.3, "focal_gamma": 0.0},
    {"use_focal_loss_for_pairs": False},
    {"use_focal_loss_for_pairs": False, "focal_normalizer": "cells"},
    {"mlm_loss_weight": 0.3, "structure_loss_weight": 2.0, "pair_loss_weight": 0.7},
]


def in_plain_words(objective):
    """The settings of the reference that are those of an objective."""
    return {
        "weights": (
            objective.mlm_loss_weight,
            objective.structure_loss_weight,
            objective.pair_loss_weight,
        ),
        "normalizer": objective.focal_normalizer,
        "alpha": objective.focal_alpha,
        "gamma": objective.focal_gamma,
        "focal": objective.use_focal_loss_for_pairs,
    }


def with_gradients(answer):
    return RnaAnswer(*(part.clone().requires_grad_() for part in answer))


def unlabelled(rows):
    return RnaRows.build([dataclasses.replace(r, pairs=None) for r in rows.records()])


@pytest.mark.parametrize("taught", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_sums_and_losses_equal_the_reference(form, taught):
    rows = random_rows()
    batch, answer = batch_of(rows), random_answer(rows)
    batch = with_teacher(batch) if taught else batch
    objective = RnaObjective(**form)
    settings = in_plain_words(objective)
    loss = {name: settings[name] for name in ("alpha", "gamma", "focal")}
    sequences = as_reference(rows, answer, batch)
    sums = objective.sums(answer, batch)
    wanted = np.array([plain.sums(s, **loss) for s in sequences])
    for column, found in enumerate(sums):
        np.testing.assert_allclose(found.numpy(), wanted[:, column], rtol=1e-4, atol=1e-5)
    of_all = objective.losses(sums.over_all())
    np.testing.assert_allclose(of_all, plain.losses(sequences, **settings), rtol=1e-4)
    of_each = np.stack(objective.losses(sums))
    wanted = np.transpose([plain.losses([s], **settings) for s in sequences])
    np.testing.assert_allclose(of_each, wanted, rtol=1e-4, atol=1e-6)


def test_the_weights_of_the_seed_are_the_defaults():
    objective = RnaObjective()
    assert in_plain_words(objective)["weights"] == (1.0, 0.8, 1.5)
    assert (objective.focal_alpha, objective.focal_gamma) == (0.75, 2.0)


def test_the_hand_value_of_the_published_loss():
    """Logits 0, one pair on 4 x 4: 0.0541521 (there: over all cells of both triangles)."""
    rows = RnaRows.build([RnaRecord("", "A" * 8, np.array([[0, 7]], np.int32))])
    batch = batch_of(rows)
    answer = RnaAnswer(torch.zeros(1, 8, 9), torch.zeros(1, 8, 5), torch.zeros(1, 8, 8))
    found = RnaObjective(focal_normalizer="cells").sums(answer, batch)
    assert int(found.cells) == 10 and int(found.pairs) == 1
    # 2 and 14 cells there, 1 and 9 here; a cell of a pair weighs thrice as much as another
    assert float(found.pair) / (0.0541521 * 16) == pytest.approx((3 + 9) / (6 + 14), rel=1e-5)


def test_no_gradient_outside_the_cells_that_count():
    """i < j, j - i >= 4, real nucleotides, known structure: nothing else."""
    rows = random_rows()
    batch = batch_of(rows)
    for form in FORMS:
        answer = with_gradients(random_answer(rows))
        objective = RnaObjective(**form)
        objective.losses(objective.sums(answer, batch).over_all()).total.backward()
        for k, row in enumerate(batch.row.tolist()):
            n = int(rows.lengths[row])
            i, j = np.indices(answer.pairs.shape[1:])
            counts = (j - i >= 4) & (j < n) & bool(rows.labelled[row])
            assert (answer.pairs.grad[k].numpy() != 0).tolist() == counts.tolist()
            moved = (answer.loops.grad[k].numpy() != 0).any(-1)
            assert moved.tolist() == (batch.loops[k] != IGNORED).tolist()
            moved = (answer.nucleotides.grad[k].numpy() != 0).any(-1)
            assert moved.tolist() == (batch.labels[k] != IGNORED).tolist()


def test_the_teacher_is_heard_of_real_bases_alone_and_needs_no_known_structure():
    rows = random_rows()
    batch, answer = with_teacher(batch_of(rows)), with_gradients(random_answer(rows))
    objective = RnaObjective()
    objective.losses(objective.sums(answer, batch).over_all()).folding.backward()
    assert answer.pairs.grad is None or not answer.pairs.grad.any()
    for k, row in enumerate(batch.row.tolist()):
        i, j = np.indices(answer.folding.shape[1:])
        counts = (j - i >= 4) & (j < int(rows.lengths[row]))
        assert (answer.folding.grad[k].numpy() != 0).tolist() == counts.tolist()


def test_a_teacher_that_is_met_leaves_no_gradient():
    rows = random_rows()
    batch = with_teacher(batch_of(rows))
    answer = random_answer(rows)
    met = torch.logit(batch.teacher.clamp(1e-6, 1 - 1e-6))
    answer = with_gradients(answer._replace(folding=met))
    objective = RnaObjective()
    objective.losses(objective.sums(answer, batch).over_all()).folding.backward()
    assert float(answer.folding.grad.abs().max()) < 1e-5


@pytest.mark.parametrize("value", [1e4, -1e4, float("inf"), float("nan")])
def test_what_does_not_count_may_be_anything(value):
    rows = random_rows()
    batch, answer = batch_of(rows), random_answer(rows)
    pairs = answer.pairs.clone()
    for k, row in enumerate(batch.row.tolist()):
        n = int(rows.lengths[row])
        i, j = np.indices(pairs.shape[1:])
        counts = (j - i >= 4) & (j < n) & bool(rows.labelled[row])
        pairs[k][torch.tensor(~counts)] = value
    for form in FORMS:
        objective = RnaObjective(**form)
        before, after = (objective.sums(a, batch) for a in (answer, answer._replace(pairs=pairs)))
        assert torch.equal(before.pair, after.pair)


def test_cells_are_those_of_the_upper_triangle_only():
    rows = random_rows()
    batch, answer = batch_of(rows), random_answer(rows)
    cells = counted_cells(answer.pairs, batch)
    sequences = as_reference(rows, answer, batch)
    for k, sequence in enumerate(sequences):
        wanted = plain.counted(sequence)
        valid = cells.valid[k]
        assert cells.logits[k][valid].tolist() == [logit for logit, _ in wanted]
        assert cells.targets[k][valid].tolist() == [positive for _, positive in wanted]
        assert not (cells.targets[k] & ~valid).any()


@pytest.mark.parametrize("form", FORMS)
def test_losses_do_not_depend_on_padding_or_order(form):
    rows = random_rows()
    batch, answer = batch_of(rows), random_answer(rows)
    objective = RnaObjective(**form)
    together = objective.sums(answer, batch)
    order = [5, 3, 0, 1, 4, 2]
    turned = RnaAnswer(*(part[order] for part in answer))
    again = objective.sums(turned, batch_of(rows, order))
    alone = []
    for k in range(len(rows)):
        own = batch_of(rows, [k])
        width = own.present.shape[1]
        cut = RnaAnswer(
            answer.nucleotides[[k], :width],
            answer.loops[[k], :width],
            answer.pairs[[k], :width, :width],
        )
        alone.append(objective.sums(cut, own))
    for name in together._fields:
        whole = getattr(together, name)
        torch.testing.assert_close(getattr(again, name), whole[order], atol=1e-5, rtol=1e-5)
        one_by_one = torch.cat([getattr(sums, name) for sums in alone])
        torch.testing.assert_close(one_by_one, whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(getattr(together.over_all(), name), one_by_one.sum())


@pytest.mark.parametrize("form", FORMS)
def test_without_structures_only_the_masked_bases_teach(form):
    rows = unlabelled(random_rows())
    batch, answer = batch_of(rows), with_gradients(random_answer(rows))
    objective = RnaObjective(**form)
    losses = objective.losses(objective.sums(answer, batch).over_all())
    assert float(losses.pair.detach()) == float(losses.structure.detach()) == 0
    assert float(losses.total.detach()) == pytest.approx(
        objective.mlm_loss_weight * float(losses.mlm.detach())
    )
    losses.total.backward()
    assert not answer.pairs.grad.any() and not answer.loops.grad.any()
    assert answer.nucleotides.grad.any()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("structure", ["........", ".", "(.)....."])
def test_structures_without_a_pair_that_counts(form, structure):
    """False positives are not free: cells still teach; where there are none, the loss is 0."""
    rows = RnaRows.build([RnaRecord("", "A" * len(structure), pairs_of(structure))])
    batch, answer = with_teacher(batch_of(rows)), with_gradients(random_answer(rows))
    objective = RnaObjective(**form)
    sums = objective.sums(answer, batch)
    losses = objective.losses(sums.over_all())
    assert int(sums.pairs) == 0
    (losses.total + losses.folding).backward()
    for part in answer:
        assert torch.isfinite(part.grad).all()
    assert np.isfinite(losses.total.item())
    assert bool(answer.pairs.grad.any()) == (len(structure) == 8)
    assert (float(losses.pair.detach()) > 0) == (len(structure) == 8)


@pytest.mark.parametrize("name", ["mlm", "structure", "pair"])
def test_a_weight_of_zero_switches_a_task_off(name):
    rows = random_rows()
    batch, answer = batch_of(rows), with_gradients(random_answer(rows))
    objective = RnaObjective(**{f"{name}_loss_weight": 0.0})
    losses = objective.losses(objective.sums(answer, batch).over_all())
    losses.total.backward()
    parts = {
        "mlm": 1.0 * losses.mlm,
        "structure": 0.8 * losses.structure,
        "pair": 1.5 * losses.pair,
    }
    own = parts.pop(name).item()
    assert own > 0  # it is still measured
    assert losses.total.item() == pytest.approx(sum(v.item() for v in parts.values()), rel=1e-5)
    grads = {
        "mlm": answer.nucleotides.grad,
        "structure": answer.loops.grad,
        "pair": answer.pairs.grad,
    }
    for task, grad in grads.items():
        assert bool(grad.any()) == (task != name)


def test_extreme_logits_give_finite_losses_and_gradients():
    rows = random_rows()
    batch = with_teacher(batch_of(rows))
    for form in FORMS:
        answer = with_gradients(RnaAnswer(*(part * 1e4 for part in random_answer(rows))))
        objective = RnaObjective(**form)
        losses = objective.losses(objective.sums(answer, batch).over_all())
        (losses.total + losses.folding).backward()
        assert all(torch.isfinite(part).all() for part in losses)
        assert all(torch.isfinite(part.grad).all() for part in answer)


def test_half_precision_logits_are_summed_in_single_precision():
    rows = random_rows()
    batch, answer = batch_of(rows), random_answer(rows)
    half = RnaAnswer(*(part.bfloat16() for part in answer))
    back = RnaAnswer(*(part.float() for part in half))
    for form in FORMS:
        objective = RnaObjective(**form)
        for one, other in zip(
            objective.sums(half, batch), objective.sums(back, batch), strict=True
        ):
            torch.testing.assert_close(one, other)


def test_a_base_with_several_partners_has_several_pairs():
    rng = np.random.default_rng(3)
    many = dataclasses.replace(
        record(rng, 16), pairs=np.array([[0, 9], [0, 14], [3, 9], [5, 7]], np.int32)
    )
    rows = RnaRows.build([many])
    batch = assemble(rows, [0])
    assert int(RnaObjective().sums(random_answer(rows), batch).pairs) == 3  # 5-7 is too close
