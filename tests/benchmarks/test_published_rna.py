"""The published modules, written anew, do what their description says, faults included."""

import numpy as np
import pytest
import torch
from benchmarks import published_rna
from benchmarks.published_rna import A, Answer, C, G, N, U, batch_of, encode, hide, lr_factor
from benchmarks.published_rna_training import Controller, PublishedTraining, losses, validate
from torch import nn

from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of

HAIRPIN = ("GGGAAAACCC", "(((....)))")
LOOSE = ("AAGGGAAAACCCAA", "..(((....)))..")


def rows_of(*molecules):
    return RnaRows.build(
        RnaRecord(str(k), sequence, pairs_of(structure), "f", "TR0")
        for k, (sequence, structure) in enumerate(molecules)
    )


@pytest.mark.parametrize(
    ("size", "parameters"), [("small", 3_494_415), ("base", 26_283_023), ("large", 87_240_207)]
)
def test_the_sizes_have_the_published_numbers_of_parameters(size, parameters):
    with torch.device("meta"):
        network = published_rna.PublishedNetwork(*published_rna.SIZES[size])
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_vocabulary_loses_dna_and_the_end_of_long_sequences():
    assert encode("ACGT", 8).tolist() == [2, A, C, G, N, 3, 0, 0]
    assert encode("ACGU", 4).tolist() == [2, A, C, G]
    assert encode("ACGU", 5).tolist() == [2, A, C, G, U]  # SEP goes first


def test_hidden_bases_are_15_percent_80_10_10():
    tokens = np.full(200_000, A)
    seen, labels = hide(tokens, np.random.default_rng(1))
    asked = labels != -100
    assert (labels[asked] == A).all() and (seen[~asked] == A).all()
    assert asked.mean() == pytest.approx(0.15, abs=0.003)
    assert (seen[asked] == 1).mean() == pytest.approx(0.8, abs=0.01)
    # a quarter of the random letters is the letter itself
    assert (seen[asked] == A).mean() == pytest.approx(0.1 + 0.1 / 4, abs=0.01)
    none = hide(np.array([0, 2, 3, 0]), np.random.default_rng(1))[1]
    assert (none == -100).all()


def test_batches_are_dense_and_label_padding():
    batch = batch_of(rows_of(HAIRPIN), [0], 16, np.random.default_rng(0))
    assert batch.pairs.shape == (1, 16, 16)
    found = {tuple(cell) for cell in batch.pairs[0].nonzero().tolist()}
    upper = {(1, 10), (2, 9), (3, 8)}  # CLS is token 0
    assert found == upper | {(j, i) for i, j in upper}
    assert batch.loops[0].tolist() == [0, 1, 1, 1, 4, 4, 4, 4, 1, 1, 1, 0, 0, 0, 0, 0]
    assert batch.present[0].tolist() == [1.0] * 12 + [0.0] * 4


def test_pair_logits_are_neither_symmetric_nor_scaled():
    network = published_rna.published_network("0.7M", seed=3).eval()
    tokens = torch.from_numpy(encode("GGGAAAACCC", 14))[None]
    with torch.no_grad():
        logits = network(tokens).pairs[0, :12, :12]
    assert not torch.allclose(logits, logits.T, atol=0.1)
    small = published_rna.published_network("small", seed=3).eval()
    sequence = "".join(np.random.default_rng(0).choice(list("ACGU"), 100))
    with torch.no_grad():
        spread = small(torch.from_numpy(encode(sequence, 102))[None]).pairs.std()
    assert 1.2 < float(spread) < 2.2  # measured on the published one: 1.53


def test_probabilities_are_of_bases_and_symmetric():
    rows = rows_of(HAIRPIN, LOOSE)
    network = published_rna.published_network("0.7M")
    found = dict(published_rna.pair_probabilities(network, rows, 20))
    assert [found[k].shape for k in (0, 1)] == [(10, 10), (14, 14)]
    np.testing.assert_allclose(found[1], found[1].T, atol=1e-6)
    alone = dict(published_rna.pair_probabilities(network, rows.take([0]), 12))
    np.testing.assert_allclose(found[0], alone[0], atol=1e-5)


def one_pair():
    targets = torch.zeros(1, 4, 4)
    targets[0, 0, 3] = targets[0, 3, 0] = 1
    return targets


def test_focal_loss_is_the_hand_value_of_the_formula_over_all_cells():
    present = torch.ones(1, 4)
    loss = published_rna.pair_focal(torch.zeros(1, 4, 4), one_pair(), present)
    by_hand = (2 * 0.75 + 14 * 0.25) / 16 * 0.25 * np.log(2)
    assert float(loss) == pytest.approx(by_hand, abs=1e-7)
    assert float(loss) == pytest.approx(0.0541521, abs=5e-8)
    rng = np.random.default_rng(0)
    logits, present = rng.normal(size=(1, 4, 4)), np.array([[1.0, 1, 0, 1]])
    cells = []
    for i in range(4):
        for j in range(4):
            y, p = float(one_pair()[0, i, j]), 1 / (1 + np.exp(-logits[0, i, j]))
            p_t, alpha_t = (p, 0.75) if y else (1 - p, 0.25)
            value = -alpha_t * (1 - p_t) ** 2 * np.log(p_t)
            cells += [value] if present[0, i] * present[0, j] else []
    assert len(cells) == 9
    found = published_rna.pair_focal(
        torch.tensor(logits), one_pair().double(), torch.tensor(present)
    )
    assert float(found) == pytest.approx(np.mean(cells), rel=1e-6)


@pytest.mark.parametrize("loss", [published_rna.pair_focal, published_rna.pair_bce])
def test_without_pairs_the_loss_is_a_constant(loss):
    logits = torch.randn(1, 4, 4, requires_grad=True)
    found = loss(logits, torch.zeros(1, 4, 4), torch.ones(1, 4))
    assert float(found) == 0 and not found.requires_grad


def test_cross_entropy_is_a_mean_over_all_cells():
    loss = published_rna.pair_bce(torch.zeros(1, 4, 4), one_pair(), torch.ones(1, 4))
    assert float(loss) == pytest.approx(np.log(2), abs=1e-6)


def test_rates_are_the_published_list_and_rise_again():
    steps = {0: 0, 1: 0.1, 9: 0.9, 10: 1, 55: 0.55, 99: 0.1003, 100: 0.1, 120: 0.2053}
    for step, rate in steps.items():
        assert lr_factor(step, 100, 10) == pytest.approx(rate, abs=5e-5)
    assert lr_factor(100, 100, 10, kind="linear") == 0  # forgets the floor
    assert lr_factor(70, 100, 10, kind="constant") == 1


class Fixed(nn.Module):
    """Always says NONE, and calls every cell a pair."""

    def forward(self, tokens):
        loops = torch.zeros(*tokens.shape, 5)
        loops[..., 0] = 5.0
        pairs = torch.full((len(tokens), tokens.shape[1], tokens.shape[1]), 3.0)
        return Answer(torch.zeros(*tokens.shape, 9), loops, pairs)


def test_always_none_is_mostly_right_where_padding_counts():
    rows = rows_of(LOOSE)
    found = validate(Fixed(), rows, 512, np.random.default_rng(0))
    assert found["structure_accuracy_padded"] == pytest.approx(1 - 10 / 512)
    assert found["structure_accuracy"] == pytest.approx(4 / 14)


def test_validation_counts_both_triangles_and_averages_over_batches():
    rows = rows_of(*[HAIRPIN] * 16, LOOSE)
    found = validate(Fixed(), rows, 16, np.random.default_rng(0))
    precision = [2 * 3 / 12**2, 2 * 3 / 16**2]  # pairs of CLS, SEP and the diagonal are called
    assert found["pair_precision"] == pytest.approx(np.mean(precision), rel=1e-6)
    assert found["pair_recall"] == 1
    each = [2 * p / (1 + p) for p in precision]
    assert found["pair_f1"] == pytest.approx(np.mean(each), rel=1e-6)


def test_the_loss_adds_up_with_the_seeds_weights():
    batch = batch_of(rows_of(HAIRPIN), [0], 12, np.random.default_rng(0))
    answer = Fixed()(batch.masked)
    total, nucleotides, structure, pairs = (float(x) for x in losses(answer, batch, focal=True))
    assert total == pytest.approx(nucleotides + 0.8 * structure + 1.5 * pairs, rel=1e-6)
    assert nucleotides == pytest.approx(np.log(9), rel=1e-6)


def test_the_sparse_training_starts_at_a_half_and_is_slow_to_settle():
    controller, generator = Controller(), torch.Generator().manual_seed(0)
    rates = [
        float(controller.choose(torch.rand(16, generator=generator)).float().mean())
        for _ in range(400)
    ]
    assert rates[0] == 0.5
    assert np.mean(rates[:32]) == pytest.approx(0.474, abs=0.01)
    assert np.mean(rates[200:]) == pytest.approx(0.4, abs=0.005)


@pytest.mark.parametrize("sparse", [False, True])
def test_a_training_learns_and_counts_its_steps(sparse):
    torch.manual_seed(0)
    rows = rows_of(*[HAIRPIN, LOOSE] * 8)
    network = published_rna.PublishedNetwork(16, 2, 1, 32, max_len=20)
    controller = Controller() if sparse else None
    training = PublishedTraining(
        network, rows, 16, total_steps=40, warmup_steps=4, batch_size=8, controller=controller
    )
    before = validate(network, rows, 16, np.random.default_rng(0))["val_loss"]
    for _ in range(20):
        training.epoch()
    assert training.scheduler.last_epoch == 40
    assert validate(network, rows, 16, np.random.default_rng(0))["val_loss"] < before - 0.5
    assert len(training.activations) == (40 if sparse else 0)
