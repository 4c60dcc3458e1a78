"""The whole network: sizes, the reference, padding."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.reference import rna_network as plain
from tests.rna.made import BILINEAR, CONV, batch_of, network, random_rows

from priorwise.rna.network import SIZES, RnaNetwork, n_parameters

FORMS = {
    "bilinear": BILINEAR,
    "bilinear rotary": {**BILINEAR, "positions": "rotary"},
    "conv": CONV,
    "conv learned": {**CONV, "positions": "learned"},
}


def given(answer):
    """What an answer says, without the outputs that the network does not have."""
    return [part for part in answer if part is not None]


def answers(net, batch):
    with torch.no_grad():
        return net(batch.tokens, batch.present, batch.features)


@pytest.mark.parametrize(
    ("size", "published"), [("small", 3_494_415), ("base", 26_283_023), ("large", 87_240_207)]
)
def test_parameter_counts_are_the_published_ones(size, published):
    with torch.device("meta"):
        net = RnaNetwork(size, pair_head="bilinear", positions="learned")
    assert n_parameters(net) == published


@pytest.mark.parametrize("name", FORMS)
def test_the_network_equals_the_reference(name):
    """The reference knows no batches: padding is checked on the way."""
    form = FORMS[name]
    net, rows = network(**form), random_rows()
    batch = batch_of(rows)
    found = answers(net, batch)
    state = {k: v.double().numpy() for k, v in net.state_dict().items()}
    _, n_heads, n_layers, _ = SIZES["tiny"]
    dilations = form.get("pair_dilations", ())
    for k in (0, 4, 2):
        n = int(rows.lengths[k])
        tokens = batch.tokens[k, : n + 2].numpy()
        wanted = plain.answer(
            state, tokens, n_heads, n_layers, form["positions"] == "rotary", dilations
        )
        cut = (found.nucleotides[k, :n], found.loops[k, :n], found.pairs[k, :n, :n])
        for part, whole in zip(cut, wanted, strict=True):
            np.testing.assert_allclose(part.numpy(), whole, atol=2e-4)
        assert np.ptp(wanted[2]) > 0.5 or n == 1


@pytest.mark.parametrize("name", FORMS)
def test_neither_padding_nor_the_order_of_a_batch_changes_an_answer(name):
    net, rows = network(**FORMS[name], seed=3), random_rows(seed=3)
    order = [4, 2, 0, 5, 3, 1]
    together, turned = answers(net, batch_of(rows)), answers(net, batch_of(rows, order))
    for k in range(len(rows)):
        n = int(rows.lengths[k])
        alone = answers(net, batch_of(rows, [k]))
        for found, at in ((together, k), (turned, order.index(k)), (alone, 0)):
            for part, wanted in zip(given(found), given(alone), strict=True):
                cut = (slice(n),) * (part.ndim - 1)
                torch.testing.assert_close(part[at][cut], wanted[0][cut], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", FORMS)
def test_pair_logits_are_symmetric_to_the_bit(name):
    logits = answers(network(**FORMS[name]), batch_of(random_rows())).pairs
    assert torch.equal(logits, logits.transpose(1, 2)) and logits.dtype == torch.float32


@pytest.mark.parametrize("name", ["bilinear rotary", "conv"])
def test_permuted_bases_are_another_sequence(name):
    net, rows = network(**FORMS[name]), random_rows()
    batch = batch_of(rows, [1])
    n = int(rows.lengths[1])
    order = torch.tensor(np.random.default_rng(0).permutation(n))
    turned = batch.tokens.clone()
    turned[0, 1 : n + 1] = batch.tokens[0, 1 + order]
    here, there = answers(net, batch), answers(net, dataclasses.replace(batch, tokens=turned))
    assert (there.nucleotides[0, :n] - here.nucleotides[0, order]).abs().max() > 0.01
    assert (there.pairs[0, :n, :n] - here.pairs[0, order][:, order]).abs().max() > 0.01


@pytest.mark.parametrize("size", ["tiny", "small"])
@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("max_len", [61, 512])
def test_sequences_as_long_as_max_len(size, name, max_len):
    form = {**FORMS[name], "model_size": size, "max_len": max_len}
    rows = random_rows(lengths=(max_len - 2, 9), unlabelled=())
    found = answers(RnaNetwork(**form).eval(), batch_of(rows))
    assert all(torch.isfinite(part).all() for part in given(found))
    assert found.pairs.shape[1] >= max_len - 2


@pytest.mark.parametrize("size", ["base", "large"])
def test_every_size_has_all_its_positions(size):
    """Published: max_len 1024, but 512 positions."""
    with torch.device("meta"):
        net = RnaNetwork(size, positions="learned", max_len=1024)
    assert net.encoder.places.num_embeddings == 1024


def test_feature_maps_change_the_pairs_and_belong_to_the_conv_head():
    net, rows = network(**CONV, n_features=1), random_rows()
    batch = batch_of(rows)
    width = batch.present.shape[1]
    maps = torch.rand(len(rows), width, width, 1)
    one = answers(net, dataclasses.replace(batch, features=maps))
    other = answers(net, dataclasses.replace(batch, features=torch.zeros_like(maps)))
    assert (one.pairs - other.pairs).abs().max() > 0.01
    assert torch.equal(one.nucleotides, other.nucleotides)
    with pytest.raises(ValueError, match="^n_features, folds:"):
        RnaNetwork("tiny", n_features=1)
    with pytest.raises(ValueError, match="^n_features, folds:"):
        RnaNetwork("tiny", folds=True)
