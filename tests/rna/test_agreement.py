"""Loop types and pairs listen to each other; plain Python beside."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.rna.agreement import STEM, SURE, agreed_loops, supported
from priorwise.rna.structure import LOOP_NAMES, loop_types


def odds(p):
    p = min(max(p, SURE), 1 - SURE)
    return math.log(p / (1 - p))


def chance(log_odds):
    return 1 / (1 + math.exp(-log_odds))


@given(seed=st.integers(0, 2**32), n=st.integers(0, 9), weight=st.sampled_from([0.0, 0.2, 1.0]))
def test_scores_equal_a_loop_over_cells(seed, n, weight):
    rng = np.random.default_rng(seed)
    pairs, stems = rng.random((n, n)), rng.random(n)
    pairs = (pairs + pairs.T) / 2
    pairs[rng.random((n, n)) < 0.1] = 0.0
    stems[rng.random(n) < 0.2] = 1.0
    found = supported(pairs, stems, weight)
    for i in range(n):
        for j in range(n):
            say = (odds(stems[i]) + odds(stems[j])) / 2
            assert found[i, j] == pytest.approx(chance(odds(pairs[i, j]) + weight * say), abs=1e-9)


def test_known_scores():
    pairs = np.full((3, 3), 0.5, np.float32)
    found = supported(pairs, np.array([0.8, 0.5, 0.2]), 1.0)
    assert found.dtype == np.float32
    assert found[0, 0] == pytest.approx(0.8)  # both bases say 4 to 1
    assert found[0, 1] == pytest.approx(2 / 3)  # half of it: 2 to 1
    assert found[0, 2] == pytest.approx(0.5)  # they cancel
    assert found[1, 2] == pytest.approx(1 / 3)


def test_symmetric_stays_symmetric():
    rng = np.random.default_rng(0)
    pairs = rng.random((20, 20)).astype(np.float32)
    pairs = (pairs + pairs.T) / 2
    found = supported(pairs, rng.random(20).astype(np.float32), 0.4)
    assert (found == found.T).all()


def test_a_structure_decides_between_likely_types_and_not_against_sure_ones():
    pairs = np.array([[0, 6], [1, 5]])
    follow = loop_types(7, pairs)
    loops = np.full((7, 5), 0.01)
    other = (follow + 1) % len(LOOP_NAMES)
    rows = np.arange(7)
    loops[rows, other], loops[rows, follow] = 0.5, 0.45
    assert agreed_loops(loops, pairs).tolist() == follow.tolist()
    assert agreed_loops(loops, pairs, 0.0).tolist() == other.tolist()
    loops[rows, other], loops[rows, follow] = 0.9, 0.05
    assert agreed_loops(loops, pairs).tolist() == other.tolist()
    loops[rows, follow] = 0.0  # impossible by the network: no infinity
    assert agreed_loops(loops, pairs).tolist() == other.tolist()


def test_no_pairs_and_no_bases():
    assert LOOP_NAMES[STEM] == "STEM"
    none = np.zeros((0, 2), int)
    assert agreed_loops(np.eye(5)[[1, 0]] * 0.9, none).tolist() == [1, 0]
    assert agreed_loops(np.zeros((0, 5)), none).shape == (0,)
    assert supported(np.zeros((0, 0)), np.zeros(0), 0.4).shape == (0, 0)
