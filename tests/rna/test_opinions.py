"""Two opinions of each pair, and their mixture."""

import numpy as np
import pytest
import torch
from tests.rna.made import CONV, batch_of, network, random_answer, random_rows

from priorwise.rna.batches import FeatureMaps
from priorwise.rna.opinions import opinions
from priorwise.rna.predict import predict


def test_by_heart_the_second_opinion_is_the_second_output():
    answer = random_answer(random_rows())
    both = opinions(answer)
    torch.testing.assert_close(both.learned, torch.sigmoid(answer.pairs))
    torch.testing.assert_close(both.folded, torch.sigmoid(answer.folding))
    expected = 0.75 * both.learned + 0.25 * both.folded
    torch.testing.assert_close(both.mixed(0.25), expected)
    assert both.mixed(0) is both.learned


def test_maps_that_are_given_are_the_second_opinion_themselves():
    answer = random_answer(random_rows())
    maps = torch.rand(*answer.pairs.shape, 3)
    torch.testing.assert_close(opinions(answer, maps).folded, maps.mean(-1))


def test_a_network_of_one_opinion_keeps_it():
    answer = random_answer(random_rows())._replace(folding=None)
    both = opinions(answer)
    assert both.folded is None
    assert both.mixed(0.5) is both.learned


@pytest.mark.parametrize("given", [False, True], ids=["by heart", "given"])
def test_predictions_hold_both_and_the_mixture(given):
    rows = random_rows(lengths=(13, 9, 20))
    net = network(**CONV, n_features=2 * given, folds=not given)
    maps = FeatureMaps(3, 2) if given else None
    rng = np.random.default_rng(0)
    for row, n in enumerate(rows.lengths if given else ()):
        for place in range(2):
            cells = rng.random((n, n)).astype(np.float32)
            maps.put(row, place, (cells + cells.T) / 2)
    for p in predict(net, rows, maps, folding_weight=0.3):
        np.testing.assert_allclose(p.pairs, 0.7 * p.learned + 0.3 * p.folded, atol=1e-6)
        assert (p.pairs == p.pairs.T).all() and not np.allclose(p.learned, p.folded)
        if given:
            wanted = maps.padded([p.row], len(p.pairs))[0].numpy().mean(-1)
            np.testing.assert_allclose(p.folded, wanted, atol=1e-6)
        else:
            batch = batch_of(rows, [p.row])
            with torch.no_grad():
                n = len(p.pairs)
                alone = net(batch.tokens, batch.present).folding[0, :n, :n]
            np.testing.assert_allclose(p.folded, torch.sigmoid(alone).numpy(), atol=1e-5)
    (alone,) = list(predict(network(**CONV), rows.take([0]), folding_weight=0.3))
    assert np.array_equal(alone.pairs, alone.learned)
    assert np.array_equal(alone.pairs, alone.folded)
