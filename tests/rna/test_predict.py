"""From sequences to probabilities: the answer of a row is its own."""

import numpy as np
import pytest
import torch
from tests.rna.made import BILINEAR, CONV, batch_of, network, random_rows

from priorwise.rna import predict as module
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.predict import predict, rows_of
from priorwise.rna.rows import RnaRows

LENGTHS = (13, 16, 1, 30, 17, 5, 14, 15)


def answers(net, rows, features=None, **limit):
    return {p.row: p for p in predict(net, rows, features, **limit)}


@pytest.mark.parametrize("form", [CONV, BILINEAR], ids=["conv", "bilinear"])
def test_answers_are_those_of_the_network(form):
    net, rows = network(**form), random_rows(lengths=LENGTHS)
    found = answers(net, rows)
    assert sorted(found) == list(range(len(rows)))
    for row, p in found.items():
        n = int(rows.lengths[row])
        with torch.no_grad():
            batch = batch_of(rows, [row])
            alone = net(batch.tokens, batch.present)
        wanted = torch.sigmoid(alone.pairs[0, :n, :n])
        np.testing.assert_allclose(p.pairs, wanted.numpy(), atol=1e-6)
        loops = torch.softmax(alone.loops[0, :n], -1).numpy()
        np.testing.assert_allclose(p.loops, loops, atol=1e-6)
        assert p.loops.dtype == np.float32 and (p.stems == p.loops[:, 1]).all()
        assert p.pairs.shape == (n, n) and p.pairs.dtype == np.float32
        assert (p.pairs == p.pairs.T).all()


@pytest.mark.parametrize("form", [CONV, BILINEAR], ids=["conv", "bilinear"])
def test_an_answer_does_not_depend_on_other_rows(form):
    net, rows = network(**form, seed=1), random_rows(lengths=LENGTHS)
    together = answers(net, rows)
    order = [5, 0, 7, 2, 1, 6, 4, 3]
    turned = answers(net, rows.take(order))
    alone = answers(net, rows, cells=1)  # every row is a batch
    for row, p in together.items():
        for other in (alone[row], turned[order.index(row)]):
            np.testing.assert_allclose(other.pairs, p.pairs, atol=1e-6, rtol=0)
            np.testing.assert_allclose(other.loops, p.loops, atol=1e-6, rtol=0)
    again = answers(net, rows.take(order), cells=1)
    for row, p in alone.items():  # to the last bit
        assert np.array_equal(again[order.index(row)].pairs, p.pairs)


def test_batches_are_of_one_width_and_no_larger_than_memory_allows():
    rows = random_rows(lengths=LENGTHS)
    widths = -(-rows.lengths // 8) * 8
    order = np.argsort(widths, kind="stable")
    cells = 2 * 16 * 16
    parts = [part.tolist() for part in module._batches(order, widths, cells)]
    assert sorted(sum(parts, [])) == list(range(len(rows)))
    for part in parts:
        assert len(set(widths[part])) == 1
        assert len(part) * widths[part[0]] ** 2 <= max(cells, widths[part[0]] ** 2)
    assert max(map(len, parts)) == 2


def test_shortest_first_and_nothing_of_nothing():
    rows = random_rows(lengths=LENGTHS)
    net = network(**CONV)
    widths = [-(-int(rows.lengths[p.row]) // 8) for p in predict(net, rows)]
    assert widths == sorted(widths)
    assert list(predict(net, RnaRows.build([]))) == []


def test_feature_maps_of_each_row_are_its_own():
    net, rows = network(**CONV, n_features=1), random_rows(lengths=(20, 9, 18))
    maps = FeatureMaps(3, 1)
    for k, n in enumerate(rows.lengths):
        maps.put(k, 0, np.full((n, n), 0.2 * (k + 1), np.float32))
    found = answers(net, rows, maps)
    one = FeatureMaps(1, 1)
    one.put(0, 0, np.full((18, 18), 0.6, np.float32))
    alone = answers(net, rows.take([2]), one)
    np.testing.assert_allclose(found[2].pairs, alone[0].pairs, atol=1e-6)


def test_rows_of_sequences():
    rows = rows_of(["ACGU", "N"])
    assert rows.sequences() == ["ACGU", "N"] and not rows.labelled.any()
