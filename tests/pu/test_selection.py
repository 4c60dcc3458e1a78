import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from tests.reference import selection

from priorwise.pu.selection import (
    degenerate,
    labelled_recall,
    predicted_positive_rate,
    proxy_accuracy,
    proxy_f1,
    pu_auc,
    pu_f,
    q_gap,
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
        lambda r, q: q_gap(q, 0.4),
        lambda r, q: pu_auc(r, 0.2),
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


def test_case_control_criteria_are_those_of_the_unlabelled_rows():
    """With q over s = 0 and alpha for pi; here the labelled rows come from elsewhere."""
    rng = np.random.default_rng(1)
    y = np.concatenate([rng.random(100_000) < 0.3, np.ones(50_000, dtype=bool)])
    s = np.arange(y.size) >= 100_000
    predicted = rng.normal(np.where(y, 1.0, -1.0)) > 0
    f1, accuracy, _ = selection.from_truth(predicted[~s], y[~s])
    r, q = labelled_recall(predicted, s), predicted_positive_rate(predicted[~s])
    assert proxy_f1(r, q, 0.3) == pytest.approx(f1, abs=0.01)
    assert proxy_accuracy(r, q, 0.3) == pytest.approx(accuracy, abs=0.01)


@pytest.mark.parametrize(("pi", "c"), [(0.454, 0.5889), (0.285, 0.4486), (0.8, 0.3)])
@pytest.mark.parametrize("distance", [0.3, 1.2, 2.5])
def test_pu_auc_is_the_area_of_the_true_classes(pi, c, distance):
    rng = np.random.default_rng(2)
    y = rng.random(100_000) < pi
    s = y & (rng.random(y.size) < c)
    f = rng.normal(np.where(y, distance, -distance))
    found = pu_auc(roc_auc_score(s, f), (pi - pi * c) / (1 - pi * c))
    assert found == pytest.approx(roc_auc_score(y, f), abs=0.01)


def test_pu_auc_by_counting_pairs():
    """All positives share one set of scores, so labels selected at random cannot err."""
    positive, negative = [1.0, 3.0], [0.0, 2.0, 2.5]
    unlabelled = positive + negative  # alpha = .4
    lab = selection.auc(positive, unlabelled)
    # 1 beats 0; 3 beats 1, 0, 2 and 2.5; each ties with itself
    assert lab == pytest.approx((1 + 4 + 2 / 2) / 10)
    assert pu_auc(lab, 0.4) == pytest.approx(selection.auc(positive, negative))


def test_pu_auc_never_leaves_0_to_1():
    """The prior of all rows in place of alpha would give 1.13 on such scores."""
    assert pu_auc(0.95, 0.3) == 1.0 and pu_auc(0.05, 0.3) == 0.0
    assert pu_auc(0.85, 0.3) == 1.0 and pu_auc(0.5, 0.3) == pytest.approx(0.5)
    assert np.isnan(pu_auc(float("nan"), 0.3))
    for alpha in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="^alpha:"):
            pu_auc(0.9, alpha)


def test_q_gap():
    assert q_gap(0.3, 0.5) == pytest.approx(0.2) and q_gap(0.7, 0.5) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("q", "spread", "pi", "reason"),
    [
        (0.9931, 5.0, None, "q = 0.9931 > .98: nearly every row is called positive"),
        (0.98, 5.0, None, None),
        (0.02, 5.0, None, None),
        (0.0, 5.0, 0.3, "q = 0.0000 < .02: nearly no row is called positive"),
        (0.015, 5.0, 0.02, None),  # few positives: little is right
        (0.005, 5.0, 0.02, "q = 0.0050 < .01: nearly no row is called positive"),
        (0.985, 5.0, 0.98, None),
        (0.995, 5.0, 0.98, "q = 0.9950 > .99: nearly every row is called positive"),
        (0.5, 5e-5, None, "highest - lowest logit = 5.0e-05 < 0.0001: the score is constant"),
        (None, 0.0, None, "highest - lowest logit = 0.0e+00 < 0.0001: the score is constant"),
        (None, 5.0, None, None),
        (float("nan"), float("nan"), None, None),
    ],
)
def test_degenerate_models(q, spread, pi, reason):
    assert degenerate(q, spread, pi) == reason
