"""Which bases are hidden, and what is put in their place."""

import numpy as np
import pytest
from tests.rna.made import random_rows

from priorwise.rna.alphabet import CLS, MASK, PAD, SEP, A, C, G, N, U
from priorwise.rna.batches import assemble
from priorwise.rna.masking import IGNORED, VALIDATION, mask


def test_the_vocabulary_is_the_published_one():
    assert (PAD, MASK, CLS, SEP, A, C, G, U, N) == tuple(range(9))


def within_three_sigma(count, n, share):
    return abs(count - n * share) <= 3 * np.sqrt(n * share * (1 - share))


def test_shares_are_those_of_bert():
    """15 % are asked for; of these 80 % hidden, 10 % replaced, 10 % kept."""
    rng = np.random.default_rng(0)
    n_rows, length = 400, 250
    asked = hidden = other = 0
    put = np.zeros(9, np.int64)
    for row in range(n_rows):
        tokens = rng.integers(A, N + 1, length).astype(np.uint8)
        found = mask(tokens, 7, 3, row)
        is_asked = found.labels != IGNORED
        assert (found.labels[is_asked] == tokens[is_asked]).all()
        assert (found.tokens[~is_asked] == tokens[~is_asked]).all()
        asked += is_asked.sum()
        hidden += (found.tokens == MASK).sum()
        changed = is_asked & (found.tokens != tokens) & (found.tokens != MASK)
        other += changed.sum()
        put += np.bincount(found.tokens[changed], minlength=9)
    assert within_three_sigma(asked, n_rows * length, 0.15)
    assert within_three_sigma(hidden, asked, 0.8)
    # a base that is replaced by itself looks kept: one of four, or none for N, one base of five
    assert within_three_sigma(other, asked, 0.1 * (1 - 0.8 / 4))
    assert put[[PAD, MASK, CLS, SEP, N]].sum() == 0 and put.sum() == other
    for letter in (A, C, G, U):
        assert within_three_sigma(put[letter], other, 0.25)


def test_places_are_independent_of_each_other():
    tokens = np.full(40, A, np.uint8)
    chosen = np.array([mask(tokens, 0, 0, row).labels != IGNORED for row in range(3000)])
    assert np.abs(np.corrcoef(chosen.T) - np.eye(40)).max() < 0.1
    assert np.abs(chosen.mean(0) - 0.15).max() < 4 * np.sqrt(0.15 * 0.85 / 3000)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_at_least_one_base_is_asked_for(length):
    tokens = np.full(length, G, np.uint8)
    asked = np.array([mask(tokens, 1, 2, row).labels != IGNORED for row in range(3000)])
    assert asked.sum(axis=1).min() == 1
    # where chance asks for none, any base is as likely as another
    share = 0.15 + (1 - 0.15) ** length / length
    assert all(within_three_sigma(count, 3000, share) for count in asked.sum(axis=0))


def test_the_key_is_all_it_depends_on():
    tokens = np.random.default_rng(0).integers(A, N + 1, 60).astype(np.uint8)
    before = tokens.copy()
    one = mask(tokens, 1, 2, 3)
    np.random.seed(0)
    again = mask(tokens, 1, 2, 3)
    assert (one.tokens == again.tokens).all() and (one.labels == again.labels).all()
    assert (tokens == before).all() and one.tokens.dtype == np.uint8
    for key in ((2, 2, 3), (1, 3, 3), (1, 2, 4), (2, 1, 3), (1, 3, 2)):
        assert (mask(tokens, *key).labels != one.labels).any()


def test_a_row_is_masked_alike_in_every_batch():
    rows = random_rows(lengths=(40, 12, 33, 25))
    alone = [assemble(rows, [k], seed=3, epoch=5) for k in range(4)]
    together = assemble(rows, [3, 0, 2, 1], seed=3, epoch=5)
    for place, k in enumerate([3, 0, 2, 1]):
        n = int(rows.lengths[k])
        assert together.masked[place, : n + 2].tolist() == alone[k].masked[0, : n + 2].tolist()
        assert together.labels[place, :n].tolist() == alone[k].labels[0, :n].tolist()
    later = assemble(rows, [3, 0, 2, 1], seed=3, epoch=6)
    assert later.labels.tolist() != together.labels.tolist()
    fixed = [assemble(rows, [0], seed=3, epoch=VALIDATION).labels.tolist() for _ in range(2)]
    assert fixed[0] == fixed[1]
