"""The convolutional pair head, cell by cell against plain NumPy."""

import math

import numpy as np
import pytest
import torch
from tests.reference import rna_network as plain
from tests.rna.made import shaken

from priorwise.rna.alphabet import A, N
from priorwise.rna.pair_map import FARTHEST, ConvPairHead, PairBlock, RowContext


def state_of(module, name="pairs"):
    return {f"{name}.{k}": v.double().numpy() for k, v in module.state_dict().items()}


def head(n_features=0, dilations=(1, 3, 2), seed=0, strength=0.6):
    torch.manual_seed(seed)
    return shaken(ConvPairHead(16, 8, dilations, n_features), strength=strength)


def given(n=11, size=1, seed=0, n_features=0):
    rng = np.random.default_rng(seed)
    hidden = torch.tensor(rng.normal(size=(size, n, 16)), dtype=torch.float32)
    tokens = torch.tensor(rng.integers(A, N + 1, (size, n)))
    features = torch.tensor(rng.random((size, n, n, n_features)), dtype=torch.float32)
    present = torch.ones(size, n, dtype=torch.bool)
    return hidden, tokens, present, features if n_features else None


@pytest.mark.parametrize("n_features", [0, 2])
def test_the_head_equals_the_reference(n_features):
    whole = head(n_features)
    assert [block.context is not None for block in whole.blocks] == [False, False, True]
    hidden, tokens, present, features = given(n_features=n_features)
    logits, cells, folding = whole(hidden, tokens, present, features)
    wanted, wanted_cells = plain.conv_pairs(
        state_of(whole),
        hidden[0].double().numpy(),
        tokens[0].numpy(),
        (1, 3, 2),
        None if features is None else features[0].double().numpy(),
    )
    np.testing.assert_allclose(logits[0].detach().numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(cells[0].detach().numpy(), wanted_cells, atol=1e-4)
    assert np.ptp(wanted) > 1 and folding is None


def test_the_second_output_reads_the_same_map():
    torch.manual_seed(4)
    whole = shaken(ConvPairHead(16, 8, (1, 3, 2), folds=True), strength=0.6)
    logits, cells, folding = whole(*given(size=2))
    weight, bias = whole.folding.weight[0].detach().double().numpy(), whole.folding.bias.item()
    read = cells.detach().double().numpy() @ weight + bias
    wanted = (read + read.swapaxes(1, 2)) / 2
    np.testing.assert_allclose(folding.detach().numpy(), wanted, atol=1e-4)
    assert torch.equal(folding, folding.transpose(1, 2))
    assert not torch.allclose(folding, logits, atol=0.1)
    whole.start_from(0.004)
    assert whole.folding.bias.item() == whole.out.bias.item()


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_a_block_is_residual_and_dilated(dilation):
    torch.manual_seed(1)
    block = shaken(PairBlock(6, dilation, context=False), strength=1.0)
    cells = torch.randn(1, 9, 9, 6)
    wanted = plain.pair_block(state_of(block, "b"), "b", cells[0].double().numpy(), dilation)
    found = block(cells, torch.ones(1, 9, 9, 1))
    np.testing.assert_allclose(found[0].detach().numpy(), wanted, atol=1e-5)


def test_the_context_of_a_row_is_an_attention_over_it():
    torch.manual_seed(2)
    context = shaken(RowContext(6), strength=1.0)
    cells = torch.randn(1, 7, 7, 6)
    found = context(cells, torch.ones(1, 7, 7, 1))
    wanted = plain.row_context(state_of(context, "c"), "c", cells[0].double().numpy())
    np.testing.assert_allclose(found[0].detach().numpy(), wanted, atol=1e-5)
    fresh = RowContext(6)
    assert torch.equal(fresh(cells, torch.ones(1, 7, 7, 1)), cells)  # at first it adds nothing


def test_logits_are_symmetric_to_the_bit_also_in_low_precision():
    for low in (False, True):
        whole = head(seed=3)
        whole.low_precision = low
        logits, cells, _ = whole(*given(size=2))
        assert torch.equal(logits, logits.transpose(1, 2))
        assert logits.dtype == torch.float32 and (cells >= 0).all()


def test_padding_changes_nothing_and_stays_zero():
    whole = head(dilations=(1, 4, 2, 8, 1, 2))
    hidden, tokens, present, _ = given()
    alone, alone_cells, _ = whole(hidden, tokens, present)
    rest = torch.randn(2, 24, 16)  # padding has vectors, too
    padded_tokens = torch.zeros(2, 24, dtype=torch.int64)
    padded_tokens[1] = A
    padded_present = torch.zeros(2, 24, dtype=torch.bool)
    rest[0, :11], padded_tokens[0, :11], padded_present[0, :11] = hidden[0], tokens[0], True
    padded_present[1] = True
    logits, cells, _ = whole(rest, padded_tokens, padded_present)
    torch.testing.assert_close(logits[0, :11, :11], alone[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cells[0, :11, :11], alone_cells[0], atol=1e-5, rtol=1e-5)
    assert not cells[0, 11:].any() and not cells[0, :, 11:].any()


def test_the_head_starts_at_the_share_of_pairs():
    torch.manual_seed(0)
    whole = ConvPairHead(16, 8, (1, 2, 4))
    whole.start_from(0.004)
    logits, _, _ = whole(*given(size=3))
    assert abs(logits.mean() - math.log(0.004 / 0.996)) < 1
    assert whole.out.bias.item() == pytest.approx(math.log(0.004 / 0.996), rel=1e-5)


def test_bfloat16_blocks_are_close_to_single_precision_and_weights_stay():
    whole, low = head(dilations=(1, 2, 4, 8)), head(dilations=(1, 2, 4, 8))
    low.low_precision = True
    arguments = given(n=24, size=2)
    one, other = (h(*arguments)[0].detach() for h in (whole, low))
    assert not torch.equal(one, other)  # it does compute otherwise
    assert (one - other).abs().max() < 0.05 * one.std()
    assert other.dtype == torch.float32
    low(*arguments)[0].sum().backward()
    for weight in low.parameters():
        assert weight.dtype == torch.float32 and weight.grad.dtype == torch.float32
        assert torch.isfinite(weight.grad).all()


def test_far_apart_is_far_apart():
    """Distances beyond the table share its last entry; signs do not."""
    whole, n = head(), FARTHEST + 5
    with torch.no_grad():
        for layer in (whole.five, whole.three):
            layer.weight.zero_()
    first = whole._first(torch.zeros(1, n, 16), torch.full((1, n), A), None)[0].detach()
    assert torch.equal(first[0, FARTHEST], first[0, FARTHEST + 4])
    assert torch.equal(first[2, 5], first[100, 103])
    assert not torch.equal(first[0, FARTHEST], first[0, FARTHEST - 1])
    assert not torch.equal(first[0, 3], first[3, 0])


def test_feature_maps_are_asked_for():
    whole = head(n_features=1)
    with pytest.raises(ValueError, match="^features:"):
        whole(*given())
