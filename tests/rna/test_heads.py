"""Heads that see vectors alone: masked nucleotides, loop types, bilinear pairs."""

import math

import numpy as np
import pytest
import torch
from tests.reference import rna_network as plain
from tests.rna.made import shaken

from priorwise.rna.heads import (
    BilinearPairHead,
    MaskedNucleotideHead,
    StructureHead,
    logit,
    symmetric,
)


def state_of(module, name):
    return {f"{name}.{k}": v.double().numpy() for k, v in module.state_dict().items()}


@pytest.fixture
def hidden():
    return torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(4)) * 2


def test_bilinear_logits_are_symmetric_to_the_bit_and_equal_the_reference(hidden):
    torch.manual_seed(0)
    head = shaken(BilinearPairHead(16), strength=1.0)
    logits = head(hidden).detach()
    assert torch.equal(logits, logits.transpose(1, 2))
    for k in range(2):
        wanted = plain.bilinear(state_of(head, "pairs"), hidden[k].double().numpy())
        np.testing.assert_allclose(logits[k].numpy(), wanted, atol=1e-4)
    assert head(hidden.bfloat16().float()).dtype == torch.float32


def test_the_bilinear_head_starts_at_the_share_of_pairs(hidden):
    torch.manual_seed(0)
    head = BilinearPairHead(256)
    head.start_from(0.01)
    logits = head(torch.nn.functional.layer_norm(torch.randn(4, 60, 256), [256])).detach()
    assert abs(logits.mean() - math.log(0.01 / 0.99)) < 0.1  # published: p = .5 for every cell
    assert 0.2 < logits.std() < 3  # and a spread of about one unit
    assert "prior" in head.state_dict()  # kept with the model


def test_symmetric_is_the_mean_with_the_transpose():
    cells = torch.tensor([[1.0, 2.0], [6.0, 4.0]])
    assert symmetric(cells).tolist() == [[1.0, 4.0], [4.0, 4.0]]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_log_odds_are_finite_for_any_share(share):
    assert abs(logit(share)) == pytest.approx(math.log(1e6), rel=1e-5)
    assert logit(0.25) == pytest.approx(-math.log(3))


def test_the_nucleotide_head_equals_the_reference(hidden):
    torch.manual_seed(1)
    head = shaken(MaskedNucleotideHead(16), strength=1.0)
    wanted = plain.nucleotides(state_of(head, "nucleotides"), hidden[0].double().numpy())
    np.testing.assert_allclose(head(hidden)[0].detach().numpy(), wanted, atol=1e-5)


def test_the_structure_head_is_linear(hidden):
    torch.manual_seed(1)
    head = shaken(StructureHead(16, 0.5))
    wanted = plain.linear(state_of(head, "loops"), "loops.linear", hidden[0].double().numpy())
    np.testing.assert_allclose(head(hidden)[0].detach().numpy(), wanted, atol=1e-5)
