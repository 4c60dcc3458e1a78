"""Loop types from the pairs around a base."""

import numpy as np
import pytest
import torch
from tests.reference import rna_network as plain
from tests.rna.made import shaken

from priorwise.rna.loop_head import PairLoopHead, enclosing
from priorwise.rna.structure import HAIRPIN, NONE, loop_types, pairs_of


def head(seed=0, strength=1.0):
    torch.manual_seed(seed)
    return shaken(PairLoopHead(16, 6, 0.1), strength=strength)


def given(n=13, seed=0):
    rng = np.random.default_rng(seed)
    hidden = torch.tensor(rng.normal(size=(1, n, 16)), dtype=torch.float32)
    cells = torch.tensor(rng.random((1, n, n, 6)), dtype=torch.float32)
    logits = torch.tensor(rng.normal(size=(1, n, n)), dtype=torch.float32)
    return hidden, cells, (logits + logits.transpose(1, 2)) / 2, torch.ones(1, n, dtype=torch.bool)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
def test_enclosing_sums_equal_loops_over_all_pairs(n):
    cells = np.random.default_rng(n).random((2, n, n, 3))
    found = enclosing(torch.tensor(cells))
    for k in range(2):
        np.testing.assert_allclose(found[k].numpy(), plain.enclosing(cells[k]), atol=1e-12)


def test_enclosing_tells_inside_from_outside():
    """For the true pairs, a base without partner is outside if and only if nothing encloses it."""
    structure = "..((...((...))..))..(((....)))."
    cells = torch.zeros(1, len(structure), len(structure), 1)
    pairs = pairs_of(structure)
    cells[0, pairs[:, 0], pairs[:, 1]] = 1
    around = enclosing(cells)[0, :, 0].numpy()
    kinds = loop_types(len(structure), pairs)
    free = np.array([c == "." for c in structure])
    assert ((around == 0) == (kinds == NONE))[free].all()
    assert set(around[kinds == HAIRPIN]) == {4.0, 3.0}


def test_the_head_equals_the_reference():
    whole = head()
    hidden, cells, logits, present = given()
    found = whole(hidden, cells, logits, present)[0].detach().numpy()
    state = {f"loops.{k}": v.double().numpy() for k, v in whole.state_dict().items()}
    wanted = plain.pair_loops(state, *(x[0].double().numpy() for x in (hidden, cells, logits)))
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(wanted) > 1


def test_padding_changes_nothing():
    whole = head(strength=0.3)
    hidden, cells, logits, present = given()
    alone = whole(hidden, cells, logits, present)
    n, width = 13, 24
    padded = [
        torch.randn(1, width, 16),
        torch.zeros(1, width, width, 6),
        torch.randn(1, width, width),
    ]
    padded[0][:, :n], padded[1][:, :n, :n], padded[2][:, :n, :n] = hidden, cells, logits
    found = whole(*padded, torch.arange(width)[None] < n)
    torch.testing.assert_close(found[:, :n], alone, atol=1e-5, rtol=1e-5)


def test_maps_in_half_precision_are_taken():
    whole = head()
    hidden, cells, logits, present = given()
    found = whole(hidden, cells.bfloat16(), logits, present)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, whole(hidden, cells, logits, present), atol=0.05, rtol=0.05)
