import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import selection

from priorwise.pu.selection import (
    labelled_recall,
    predicted_positive_rate,
    proxy_accuracy,
    proxy_f1,
    pu_f,
)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_exact_where_every_positive_is_labelled(pairs):
    """With s = y, r is the true recall, so the criteria are the true F1, accuracy, P R / pi."""
    predicted, y = zip(*pairs, strict=True)
    if not any(y):
        return
    r, q, pi = labelled_recall(predicted, y), predicted_positive_rate(predicted), np.mean(y)
    f1, accuracy, product = selection.from_truth(predicted, y)
    assert proxy_f1(r, q, pi) == pytest.approx(f1)
    assert proxy_accuracy(r, q, pi) == pytest.approx(accuracy)
    assert pu_f(r, q) == pytest.approx(product)


def test_close_where_labels_are_selected_at_random():
    rng = np.random.default_rng(0)
    y = rng.random(100_000) < 0.4
    s = y & (rng.random(y.size) < 0.5)
    predicted = rng.normal(np.where(y, 1.0, -1.0)) > 0
    r, q = labelled_recall(predicted, s), predicted_positive_rate(predicted)
    f1, accuracy, product = selection.from_truth(predicted, y)
    assert proxy_f1(r, q, 0.4) == pytest.approx(f1, abs=0.01)
    assert proxy_accuracy(r, q, 0.4) == pytest.approx(accuracy, abs=0.01)
    assert pu_f(r, q) == pytest.approx(product, abs=0.03)


def test_constant_predictions():
    assert pu_f(0.0, 0.0) == 0 and proxy_f1(0.0, 0.0, 0.3) == 0
    assert proxy_accuracy(0.0, 0.0, 0.3) == pytest.approx(0.7)
    assert pu_f(1.0, 1.0) == 1
    assert proxy_f1(1.0, 1.0, 0.3) == pytest.approx(0.6 / 1.3)
    assert proxy_accuracy(1.0, 1.0, 0.3) == pytest.approx(0.3)


def test_arrays_and_floats_agree():
    r, q = np.array([0.0, 0.5, 0.9]), np.array([0.0, 0.3, 0.95])
    for criterion in (
        pu_f,
        lambda r, q: proxy_f1(r, q, 0.4),
        lambda r, q: proxy_accuracy(r, q, 0.4),
    ):
        out = criterion(r, q)
        assert out.shape == (3,)
        for i in range(3):
            one = criterion(float(r[i]), float(q[i]))
            assert isinstance(one, float) and one == pytest.approx(out[i])


def test_accuracy_is_not_clipped():
    assert proxy_accuracy(1.0, 0.0, 0.9) > 1 and proxy_accuracy(0.0, 1.0, 0.9) < 0


def test_undefined_rates_are_refused():
    with pytest.raises(ValueError, match="^labelled:"):
        labelled_recall([1, 0], [0, 0])
    with pytest.raises(ValueError, match="^labelled:"):
        labelled_recall([1, 0], [1])
    with pytest.raises(ValueError, match="^predicted:"):
        predicted_positive_rate([])
