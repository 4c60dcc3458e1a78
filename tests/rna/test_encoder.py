"""The encoder: what positions do, padding, and every layer against plain NumPy."""

import numpy as np
import pytest
import torch
from tests.reference import rna_network as plain
from tests.rna.made import shaken

from priorwise.rna.alphabet import CLS, PAD, SEP, A, N
from priorwise.rna.encoder import Attention, EncoderLayer, RnaEncoder, rotate


def state_of(module, prefix=""):
    return {prefix + k: v.double().numpy() for k, v in module.state_dict().items()}


def encoder(positions, max_len=64, seed=0):
    torch.manual_seed(seed)
    return shaken(RnaEncoder(16, 2, 2, 32, 0.1, positions, max_len))


def tokens_of(bases):
    return torch.tensor([[CLS, *bases, SEP]])


def random_bases(n, seed=0):
    return np.random.default_rng(seed).integers(A, N + 1, n).tolist()


def test_rotation_is_a_turn_of_complex_numbers():
    x = torch.randn(3, 7, 10, generator=torch.Generator().manual_seed(0))
    found = rotate(x, torch.arange(7)).numpy()
    wanted = [[plain.turned(row, k) for k, row in enumerate(rows)] for rows in x.double().numpy()]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), x.norm(dim=-1), rtol=1e-5)


def test_scores_of_rotary_positions_depend_on_the_distance_only():
    generator = torch.Generator().manual_seed(1)
    query, key = torch.randn(2, 1, 32, generator=generator)

    def score(i, j):
        turned = [rotate(v, torch.tensor([at]))[0] for v, at in ((query, i), (key, j))]
        return float(turned[0] @ turned[1])

    for i, j in ((0, 0), (0, 5), (3, 40), (17, 2)):
        for shift in (1, 9, 300):
            assert score(i, j) == pytest.approx(score(i + shift, j + shift), abs=1e-3)
    distances = {round(score(0, j), 2) for j in range(12)}
    assert len(distances) > 8  # and it does depend on it
    assert abs(score(0, 7) - score(7, 0)) > 0.1  # and on its sign


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_attention_equals_the_reference(positions):
    torch.manual_seed(2)
    attention = shaken(Attention(16, 4, 0.1, positions), strength=1.0)
    x = torch.randn(1, 9, 16)
    found = attention(x, torch.ones(1, 9, dtype=torch.bool))[0].detach().numpy()
    state = state_of(attention, "a.")
    wanted = plain.attention(state, "a", x[0].double().numpy(), 4, positions == "rotary")
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    other = plain.attention(state, "a", x[0].double().numpy(), 4, positions != "rotary")
    assert np.abs(found - other).max() > 0.01


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_a_layer_normalises_after_each_addition(positions):
    torch.manual_seed(3)
    layer = shaken(EncoderLayer(16, 2, 24, 0.3, positions), strength=1.0)
    x = 3 * torch.randn(1, 6, 16)
    found = layer(x, torch.ones(1, 6, dtype=torch.bool))[0].detach().numpy()
    wanted = plain.layer(
        state_of(layer, "e."), "e", x[0].double().numpy(), 2, positions == "rotary"
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_the_encoder_equals_the_reference(positions):
    whole, bases = encoder(positions), random_bases(11)
    found = whole(tokens_of(bases))[0].detach().numpy()
    state = state_of(whole, "encoder.")
    wanted = plain.encode(state, [CLS, *bases, SEP], 2, 2, positions == "rotary")
    np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_nothing_attends_to_padding(positions):
    whole, bases = encoder(positions), random_bases(11)
    alone = whole(tokens_of(bases))[0]
    padded = torch.full((2, 30), PAD)
    padded[0, :13] = tokens_of(bases)
    padded[1] = tokens_of(random_bases(28, seed=1))
    torch.testing.assert_close(whole(padded)[0, :13], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("positions", ["rotary", "learned"])
def test_the_order_of_bases_matters(positions):
    """The published rotary flag took positions away and added none."""
    whole, bases = encoder(positions), random_bases(12)
    order = np.random.default_rng(5).permutation(12)
    here = whole(tokens_of(bases))[0, 1:-1]
    there = whole(tokens_of([bases[k] for k in order]))[0, 1:-1]
    assert (there - here[order]).abs().max() > 0.1


def test_a_shifted_motif_looks_the_same_to_rotary_layers_only():
    """Attention over a window that is moved along: with learned positions it would be another."""
    torch.manual_seed(6)
    x = torch.randn(1, 8, 16)
    shifted = torch.cat([torch.zeros(1, 5, 16), x], dim=1)
    present = torch.arange(13)[None] >= 5
    attention = shaken(Attention(16, 2, 0.0, "rotary"), strength=1.0)
    alone = attention(x, torch.ones(1, 8, dtype=torch.bool))
    torch.testing.assert_close(attention(shifted, present)[:, 5:], alone, atol=1e-5, rtol=1e-5)
    learned, rotary = encoder("learned"), encoder("rotary")
    assert learned.places is not None and rotary.places is None


def test_positions_are_there_for_max_len_tokens_whatever_the_padding():
    """Batches are padded to a width that may be beyond the last position."""
    whole = encoder("learned", max_len=13)
    bases = random_bases(11)
    alone = whole(tokens_of(bases))
    padded = torch.cat([tokens_of(bases), torch.full((1, 5), PAD)], dim=1)
    torch.testing.assert_close(whole(padded)[:, :13], alone, atol=1e-5, rtol=0)


def test_learned_positions_end_at_max_len():
    whole = encoder("learned", max_len=13)
    with pytest.raises(ValueError, match=r"14 tokens \(expected at most 13\)"):
        whole(tokens_of(random_bases(12)))
    assert encoder("rotary", max_len=13)(tokens_of(random_bases(40))).shape == (1, 42, 16)


def test_dropout_acts_in_training_only():
    whole, tokens = encoder("rotary"), tokens_of(random_bases(9))
    assert torch.equal(whole(tokens), whole(tokens))
    whole.train()
    assert not torch.equal(whole(tokens), whole(tokens))


def test_branches_of_a_layer_are_dropped_in_training():
    layer, wide = EncoderLayer(16, 2, 24, 0.3, "rotary").train(), []
    layer.dropout.p = 1.0
    layer.narrow.register_forward_pre_hook(lambda module, given: wide.append(given[0]))
    x = torch.randn(1, 6, 16)
    wanted = layer.after_feed_forward(layer.after_attention(x))
    torch.testing.assert_close(layer(x, torch.ones(1, 6, dtype=torch.bool)), wanted)
    assert not wide[0].any() and layer.narrow.bias.any()
