import numpy as np
import pytest

from priorwise.pu import intervals
from priorwise.pu.intervals import bootstrap_prior, resampled_means


def draw(scores, n_train, n_labelled, seed=0, **kwargs):
    return bootstrap_prior(scores, n_train, n_labelled, rng=np.random.default_rng(seed), **kwargs)


def test_intervals_hold_the_estimates_and_agree_with_normal_theory():
    scores = np.random.default_rng(5).beta(5, 4, size=2000)
    out = draw(scores, 20_000, 5340, resamples=4000)
    c, s = scores.mean(), 0.267
    for interval, value in (
        (out.c, c),
        (out.s, s),
        (out.pi, s / c),
        (out.alpha, (s / c - s) / (1 - s)),
    ):
        assert interval.low < value < interval.high
    half_c = 1.96 * scores.std() / np.sqrt(2000)
    half_s = 1.96 * np.sqrt(s * (1 - s) / 20_000)
    np.testing.assert_allclose(out.c, [c - half_c, c + half_c], atol=0.1 * half_c)
    np.testing.assert_allclose(out.s, [s - half_s, s + half_s], atol=0.1 * half_s)
    half_pi = s / c * np.hypot(half_c / c, half_s / s)  # delta method
    np.testing.assert_allclose(out.pi, [s / c - half_pi, s / c + half_pi], atol=0.1 * half_pi)


def test_covers_at_the_nominal_level():
    """The true mean of c, over 200 draws of the held-out table."""
    rng = np.random.default_rng(11)
    covered = [
        interval.low <= 5 / 9 <= interval.high
        for interval in (
            bootstrap_prior(rng.beta(5, 4, 150), 1000, 300, resamples=200, rng=rng).c
            for _ in range(200)
        )
    ]
    assert 0.89 <= np.mean(covered) <= 0.99


def test_same_seed_same_intervals_and_wider_level_wider():
    scores = np.linspace(0.2, 0.9, 80)
    assert draw(scores, 1000, 200) == draw(scores, 1000, 200)
    assert draw(scores, 1000, 200) != draw(scores, 1000, 200, seed=1)
    narrow, wide = draw(scores, 1000, 200, level=0.5), draw(scores, 1000, 200, level=0.99)
    assert wide.pi.low < narrow.pi.low < narrow.pi.high < wide.pi.high


def test_equal_scores_leave_only_the_variance_of_s():
    out = draw(np.full(50, 0.5), 1000, 200)
    assert out.c == (0.5, 0.5)
    assert out.pi.low == pytest.approx(out.s.low / 0.5)


@pytest.mark.parametrize("at_once", [1, 7, 64, 1 << 20])
def test_drawing_in_parts_changes_nothing(monkeypatch, at_once):
    values = np.random.default_rng(2).random(100)
    expected = values[np.random.default_rng(0).integers(100, size=(9, 100))].mean(axis=1)
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", at_once)
    out = resampled_means(values, 9, np.random.default_rng(0))
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"labelled_scores": []}, "labelled_scores"),
        ({"labelled_scores": [0.5, np.nan]}, "labelled_scores"),
        ({"labelled_scores": [0.0, 0.0]}, "labelled_scores"),
        ({"n_train": 0}, "n_train"),
        ({"n_train_labelled": 0}, "n_train_labelled"),
        ({"n_train_labelled": 100}, "n_train_labelled"),
        ({"resamples": 1}, "resamples"),
        ({"level": 95}, "level"),
    ],
)
def test_bad_arguments_are_named(change, name):
    arguments = {"labelled_scores": [0.5, 0.6], "n_train": 100, "n_train_labelled": 20} | change
    with pytest.raises(ValueError, match=f"^{name}:"):
        bootstrap_prior(**arguments, rng=np.random.default_rng(0))


def test_docstring_says_what_the_interval_does_not_show():
    assert "Variance only" in bootstrap_prior.__doc__
