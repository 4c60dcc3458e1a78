"""Batches: what is where, and what is not known of padding."""

import numpy as np
import pytest
import torch
from tests.rna.made import batch_of, random_rows

from priorwise.rna.alphabet import CLS, PAD, SEP
from priorwise.rna.batches import WIDTH_STEP, FeatureMaps, assemble
from priorwise.rna.masking import IGNORED, VALIDATION
from priorwise.rna.source import RnaSource


def test_every_row_is_where_it_belongs():
    rows = random_rows()
    indices = [3, 0, 1, 5]
    batch = assemble(rows, indices, seed=1, epoch=2)
    width = batch.present.shape[1]
    assert width % WIDTH_STEP == 0 and width - 30 < WIDTH_STEP
    assert batch.row.tolist() == indices
    assert batch.lengths.tolist() == rows.lengths[indices].tolist()
    assert batch.labelled.tolist() == rows.labelled[indices].tolist()
    for k, row in enumerate(indices):
        n = int(rows.lengths[row])
        own = rows.tokens_of_row(row).tolist()
        rest = [PAD] * (width - n)
        assert batch.tokens[k].tolist() == [CLS, *own, SEP, *rest]
        masked = batch.masked[k].tolist()
        assert [masked[0], *masked[n + 1 :]] == [CLS, SEP, *rest]
        assert batch.present[k].tolist() == [True] * n + [False] * (width - n)
        assert batch.loops[k].tolist() == [*rows.loops_of_row(row), *[IGNORED] * (width - n)]
        asked = batch.labels[k].tolist()
        assert asked[n:] == [IGNORED] * (width - n)
        assert all(label in (IGNORED, base) for label, base in zip(asked, own, strict=False))
        hidden = [m != t for m, t in zip(masked[1 : n + 1], own, strict=True)]
        assert all(asked[i] != IGNORED for i in np.flatnonzero(hidden))
    assert batch.features is None


def test_the_pair_map_is_that_of_the_rows():
    rows = random_rows()
    batch = batch_of(rows)
    found = batch.pair_map()
    wanted = np.zeros(found.shape)
    for k in range(len(rows)):
        for i, j in rows.pairs_of_row(k):
            wanted[k, i, j] = wanted[k, j, i] = 1
    assert found.numpy().tolist() == wanted.tolist() and wanted.sum() > 10


def test_rows_whose_targets_are_taken_away():
    rows = random_rows()
    batch = batch_of(rows)
    gone = torch.tensor([True, False, False, True, False, False])
    less = batch.without_targets(gone)
    assert (less.labels[gone] == IGNORED).all() and (less.loops[gone] == IGNORED).all()
    assert not less.labelled[gone].any()
    for name in ("labels", "loops", "labelled"):
        assert torch.equal(getattr(less, name)[~gone], getattr(batch, name)[~gone])
    assert torch.equal(less.tokens, batch.tokens)


def test_other_keys_than_the_positions():
    """A part of a table is masked as the whole, if its rows keep their numbers."""
    rows = random_rows()
    keys = np.array([0, 3])
    part = assemble(rows.take([0, 3]), [0, 1], seed=4, epoch=1, keys=keys)
    whole = assemble(rows, [0, 3], seed=4, epoch=1)
    assert torch.equal(part.masked, whole.masked)
    assert not torch.equal(part.masked, assemble(rows.take([0, 3]), [0, 1], seed=4).masked)
    fixed = assemble(rows, [0, 3], seed=4, epoch=VALIDATION)
    assert torch.equal(assemble(rows, [0, 3], seed=4).masked, fixed.masked)


def test_feature_maps_are_kept_sparse_and_given_dense():
    rng = np.random.default_rng(0)
    maps = FeatureMaps(3, 2)
    dense = rng.random((2, 6, 6)).astype(np.float32)
    dense[dense < 0.5] *= 1e-3
    maps.put(2, 0, dense[0])
    maps.put(2, 1, dense[1])
    found = maps.padded([0, 2], 8)
    assert found.shape == (2, 8, 8, 2) and not found[0].any() and not found[1, 6:].any()
    for k in range(2):
        wanted = np.where(dense[k] >= 1e-3, dense[k], 0)
        np.testing.assert_allclose(found[1, :6, :6, k], wanted, rtol=1e-3)
    batch = assemble(random_rows(lengths=(3, 4, 6)), [2, 1], features=maps)
    assert torch.equal(batch.features[0], found[1]) and not batch.features[1].any()


@pytest.mark.parametrize("validation", [False, True])
def test_a_source_hides_other_bases_in_each_epoch_but_in_validation(validation):
    rows = random_rows(lengths=(60, 60))
    source = RnaSource(rows, 3, validation)
    one, other = (source.assemble([0, 1], epoch).masked for epoch in (0, 1))
    assert torch.equal(one, other) == validation
    if validation:
        assert torch.equal(one, assemble(rows, [0, 1], seed=3, epoch=VALIDATION).masked)
    assert len(source) == 2 and source.lengths.tolist() == [60, 60]
    assert not torch.equal(RnaSource(rows, 4, validation).assemble([0, 1], 0).masked, one)


def test_a_batch_moves_whole():
    batch = batch_of(random_rows())
    there = batch.to(torch.device("meta"))
    for value in vars(there).values():
        assert value is None or value.device.type == "meta"
