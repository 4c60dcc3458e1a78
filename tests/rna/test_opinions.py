"""Two opinions of each pair, and their mixture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.reference import opinions as reference
from tests.rna.made import CONV, batch_of, network, random_answer, random_rows

from priorwise.rna.batches import FeatureMaps
from priorwise.rna.doubt import doubt
from priorwise.rna.opinions import mixed, opinions
from priorwise.rna.predict import predict


def test_by_heart_the_second_opinion_is_the_second_output():
    answer = random_answer(random_rows())
    both = opinions(answer, everything_of(answer))
    torch.testing.assert_close(both.learned, torch.sigmoid(answer.pairs))
    torch.testing.assert_close(both.folded, torch.sigmoid(answer.folding))
    for k, (learned, folded) in enumerate(zip(both.learned, both.folded, strict=True)):
        expected = reference.mixed(learned.numpy(), folded.numpy(), 0.25)
        np.testing.assert_allclose(both.mixed(0.25)[k].numpy(), expected, atol=1e-6)
    assert both.mixed(0) is both.learned


def everything_of(answer):
    """No padding."""
    return torch.ones(answer.pairs.shape[:2], dtype=torch.bool)


def test_doubt_of_maps_worked_out_by_hand():
    p = np.zeros((4, 4))
    assert doubt(p) == 1
    p[0, 3] = p[3, 0] = 1
    assert doubt(p) == 0
    p[0, 3] = p[3, 0] = 0.75
    assert doubt(p) == pytest.approx(0.25)
    p[1, 2] = p[2, 1] = 0.5  # (.75**5 + .5**5) / (.75**4 + .5**4)
    assert doubt(p) == pytest.approx(1 - (0.2373046875 + 0.03125) / (0.31640625 + 0.0625))
    half = np.zeros((2, 2, 2))
    half[1] = 0.5
    assert doubt(half).tolist() == [1, 0.5]
    mixture = mixed(half[1], np.ones((2, 2)), 0.8)  # .8 * .5**2 of the way from .5 to 1
    np.testing.assert_allclose(mixture, np.full((2, 2), 0.6))


@given(
    arrays(np.float64, (5, 5), elements=st.floats(0, 1)),
    arrays(np.float64, (5, 5), elements=st.floats(0, 1)),
    st.floats(0, 1),
)
def test_a_mixture_lies_between_both_opinions(learned, folded, weight):
    assert 0 <= doubt(learned) <= 1
    both = mixed(learned, folded, weight)
    low, high = np.minimum(learned, folded), np.maximum(learned, folded)
    assert (both >= low - 1e-12).all() and (both <= high + 1e-12).all()
    np.testing.assert_allclose(both, reference.mixed(learned, folded, weight), atol=1e-12)
    assert (mixed(learned, folded, 0.0) == learned).all()


def test_a_background_of_small_probabilities_is_no_doubt():
    p = np.full((60, 60), 0.03)
    p[np.arange(20), 59 - np.arange(20)] = 0.95
    assert doubt(p) == pytest.approx(0.05, abs=1e-3)


def test_padding_changes_no_mixture():
    rows = random_rows(lengths=(13, 30))
    net = network(**CONV, folds=True)
    together, alone = batch_of(rows, [0, 1]), batch_of(rows, [0])
    with torch.no_grad():
        found = [
            opinions(net(b.tokens, b.present), b.present).mixed(1.0)[0, :13, :13]
            for b in (together, alone)
        ]
    torch.testing.assert_close(*found, atol=1e-5, rtol=0)
    padded = opinions(net(together.tokens, together.present), together.present).learned[0]
    assert not padded[13:].any() and not padded[:, 13:].any()


def test_maps_that_are_given_are_the_second_opinion_themselves():
    answer = random_answer(random_rows())
    maps = torch.rand(*answer.pairs.shape, 3)
    torch.testing.assert_close(opinions(answer, everything_of(answer), maps).folded, maps.mean(-1))


def test_a_network_of_one_opinion_keeps_it():
    answer = random_answer(random_rows())._replace(folding=None)
    both = opinions(answer, everything_of(answer))
    assert both.folded is None
    assert both.mixed(0.5) is both.learned


@pytest.mark.parametrize("with_maps", [False, True], ids=["by heart", "given"])
def test_predictions_hold_both_and_the_mixture(with_maps):
    rows = random_rows(lengths=(13, 9, 20))
    net = network(**CONV, n_features=2 * with_maps, folds=not with_maps)
    maps = FeatureMaps(3, 2) if with_maps else None
    rng = np.random.default_rng(0)
    for row, n in enumerate(rows.lengths if with_maps else ()):
        for place in range(2):
            cells = rng.random((n, n)).astype(np.float32)
            maps.put(row, place, (cells + cells.T) / 2)
    for p in predict(net, rows, maps, folding_weight=0.3):
        expected = reference.mixed(p.learned, p.folded, 0.3)
        np.testing.assert_allclose(p.pairs, expected, atol=1e-6)
        assert (p.pairs == p.pairs.T).all() and not np.allclose(p.learned, p.folded)
        if with_maps:
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
