import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.pu.selection import proxy_accuracy, proxy_f1
from priorwise.pu.sensitivity import epochs_by_prior, prior_grid, thresholds_by_prior

RATE = st.floats(0, 1)


def test_by_hand():
    """2 pi r / (q + pi) of both epochs: .16/.3 and .36/.8 at pi .2, .48/.7 and 1.08/1.2 at .6."""
    out = epochs_by_prior([0.4, 0.9], [0.1, 0.6], [0.2, 0.6])
    assert out.kept.tolist() == [0, 1]
    assert out.r.tolist() == [0.4, 0.9] and out.q.tolist() == [0.1, 0.6]
    np.testing.assert_allclose(out.proxy_f1, [0.16 / 0.3, 0.9])
    np.testing.assert_allclose(out.proxy_accuracy, [1 - 0.2 + 0.16 - 0.1, 1 - 0.6 + 1.08 - 0.6])


@given(st.lists(st.tuples(RATE, RATE), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_no_other_epoch_is_better(epochs, pi):
    r, q = zip(*epochs, strict=True)
    for criterion in (proxy_f1, proxy_accuracy):
        out = epochs_by_prior(r, q, [pi], criterion)
        scores = [criterion(a, b, pi) for a, b in epochs]
        assert int(out.kept[0]) == int(np.argmax(scores))  # the earlier of two equal ones
        assert (out.r[0], out.q[0]) == epochs[int(out.kept[0])]


def test_epochs_without_values_are_never_kept():
    out = epochs_by_prior([np.nan, 0.1, 0.9], [0.2, 0.2, np.nan], [0.3, 0.5])
    assert out.kept.tolist() == [1, 1]


def test_threshold_by_hand():
    """Five rows; q is .2, .6 (two equal scores), .8, 1."""
    score, s = [0.9, 0.7, 0.7, 0.4, 0.1], [1, 1, 0, 1, 0]
    out = thresholds_by_prior(score, s, [0.05, 0.35, 0.5, 0.7001, 0.95])
    assert out.kept.tolist() == [0.9, 0.9, 0.7, 0.4, 0.1]
    np.testing.assert_allclose(out.q, [0.2, 0.2, 0.6, 0.8, 1.0])
    np.testing.assert_allclose(out.r, [1 / 3, 1 / 3, 2 / 3, 1, 1])
    assert out.proxy_f1[2] == pytest.approx(proxy_f1(2 / 3, 0.6, 0.5))


@given(st.lists(st.tuples(RATE, st.booleans()), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_threshold_predicts_as_many_as_it_says(rows, pi):
    score, s = (np.array(column) for column in zip(*rows, strict=True))
    if not s.any():
        return
    out = thresholds_by_prior(score, s, [pi])
    predicted = score >= out.kept[0]
    assert out.q[0] == pytest.approx(predicted.mean())
    assert out.r[0] == pytest.approx(predicted[s].mean())
    gaps = [abs((score >= t).mean() - pi) for t in score]
    assert abs(out.q[0] - pi) <= min(gaps) + 1e-12


def test_grid():
    np.testing.assert_allclose(prior_grid(0.2, 0.4, 3), [0.2, 0.3, 0.4])
    grid = prior_grid(-0.1, 1.2, 5)
    assert grid[0] > 0 and grid[-1] < 1
    assert prior_grid(0.3, 0.3, 2).tolist() == [0.3, 0.3]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: prior_grid(0.5, 0.4), "pi"),
        (lambda: prior_grid(1.1, 1.2), "pi"),
        (lambda: prior_grid(np.nan, 0.4), "pi"),
        (lambda: prior_grid(0.1, 0.2, 1), "points"),
        (lambda: epochs_by_prior([], [], [0.5]), "r"),
        (lambda: epochs_by_prior([0.5], [0.5, 0.6], [0.5]), "q"),
        (lambda: epochs_by_prior([1.5], [0.5], [0.5]), "r"),
        (lambda: epochs_by_prior([np.nan], [0.5], [0.5]), "r"),
        (lambda: epochs_by_prior([0.5], [0.5], [1.0]), "pi"),
        (lambda: epochs_by_prior([0.5], [0.5], [np.nan]), "pi"),
        (lambda: thresholds_by_prior([np.inf], [1], [0.5]), "score"),
        (lambda: thresholds_by_prior([0.5], [1, 0], [0.5]), "labelled"),
        (lambda: thresholds_by_prior([0.5], [0], [0.5]), "labelled"),
    ],
)
def test_bad_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=f"^{name}:"):
        call()
