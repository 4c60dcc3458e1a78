import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference import sparse as reference

from priorwise.learn.unequal import draw, inclusion_probabilities

weights = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40)


@settings(deadline=None)
@given(weights, st.data())
def test_probabilities_equal_the_reference(values, data):
    k = data.draw(st.integers(0, len(values)))
    found = inclusion_probabilities(np.array(values), k)
    assert abs(found.sum() - k) < 1e-9
    if 0 < k < len(values):
        np.testing.assert_allclose(found, reference.top_probabilities(values, k), rtol=1e-6)


@settings(deadline=None)
@given(weights, st.data())
def test_the_number_drawn_is_exact(values, data):
    k = data.draw(st.integers(0, len(values)))
    probability = inclusion_probabilities(np.array(values), k)
    drawn = draw(probability, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert drawn.sum() == k
    assert drawn[probability >= 1 - 1e-9].all()


def test_each_row_is_drawn_with_its_probability():
    values = np.array([1, 1, 2, 4, 8, 30, 0.5])
    probability = inclusion_probabilities(values, 3)
    assert probability[5] == 1
    rng = np.random.default_rng(0)
    hits = np.mean([draw(probability, rng) for _ in range(20_000)], axis=0)
    np.testing.assert_allclose(hits, probability, atol=0.012)
