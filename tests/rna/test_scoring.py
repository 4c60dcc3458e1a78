import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import bootstrap
from tests.reference import structures as reference

from priorwise.rna import scoring
from priorwise.rna.scoring import StrictScores, bootstrap_mean, by_group, strata

PAIRS = st.sets(st.tuples(st.integers(0, 5), st.integers(6, 9)), max_size=8)


def array(pairs):
    return np.array(list(pairs), np.int32).reshape(-1, 2)


@given(st.lists(st.tuples(PAIRS, PAIRS), min_size=1, max_size=8))
def test_scores_are_those_of_the_reference(structures):
    predicted, true = zip(*structures, strict=True)
    scores = StrictScores.of([array(p) for p in predicted], [array(t) for t in true])
    expected = [reference.strict(p, t) for p, t in structures]
    found = np.stack([scores.precision, scores.recall, scores.f1], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-15)
    np.testing.assert_allclose(list(scores.mean().values()), np.mean(expected, axis=0), atol=1e-12)


def test_what_nothing_predicted_or_nothing_true_scores():
    one, none = array({(0, 9)}), array(set())
    scores = StrictScores.of([none, none, one, one], [none, one, none, one])
    assert scores.f1.tolist() == [1, 0, 0, 1]
    assert scores.precision.tolist() == [1, 0, 0, 1]
    assert scores.recall.tolist() == [1, 0, 0, 1]


def test_a_shifted_pair_is_wrong():
    assert StrictScores.of([array({(0, 9)})], [array({(1, 9)})]).f1.tolist() == [0]


def test_micro_counts_all_pairs_together():
    a, b = array({(0, 9)}), array({(0, 9), (1, 8), (2, 7)})
    scores = StrictScores.of([a, array({(0, 9)})], [a, b])
    assert scores.micro() == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert scores.mean()["f1"] == pytest.approx((1 + 0.5) / 2)


def test_no_sequences():
    scores = StrictScores.of([], [])
    assert np.isnan(list(scores.mean().values())).all()
    assert np.isnan(list(scores.micro().values())).all()
    assert np.isnan(bootstrap_mean([])).all()


def test_unequal_numbers_of_structures_are_refused():
    with pytest.raises(ValueError, match="expected 2 structures, got 1"):
        StrictScores.of([array(set())], [array(set())] * 2)


@pytest.mark.parametrize("at_once", [10, 4_000_000])
def test_bootstrap_draws_from_all_means_there_are(monkeypatch, at_once):
    monkeypatch.setattr(scoring, "DRAWN_AT_ONCE", at_once)
    values = [0.0, 0.25, 0.5, 1.0]
    every = np.sort(bootstrap.means_of_draws([[v] for v in values]))
    found = bootstrap_mean(values, resamples=4000, level=0.9)
    expected = np.percentile(every, [5, 95])
    np.testing.assert_allclose(found, expected, atol=0.07)
    assert found == bootstrap_mean(values, resamples=4000, level=0.9)


def test_bootstrap_refuses_what_makes_no_interval():
    with pytest.raises(ValueError, match="resamples: expected at least 2"):
        bootstrap_mean([1.0], resamples=1)
    with pytest.raises(ValueError, match="level"):
        bootstrap_mean([1.0], level=1)


def test_lines_of_groups():
    f1 = {"model": [1.0, 0.5, 0.0], "rnafold": [0.0, 0.0, 1.0]}
    table = by_group(["b", "a", "a"], f1, resamples=50)
    assert table[["group", "method", "n"]].values.tolist() == [
        ["a", "model", 2],
        ["a", "rnafold", 2],
        ["b", "model", 1],
        ["b", "rnafold", 1],
    ]
    assert table["f1"].tolist() == [0.25, 0.5, 1.0, 0.0]
    assert (table["f1.low"] <= table["f1"]).all() and (table["f1.high"] >= table["f1"]).all()
    ordered = by_group(["b", "a", "a"], f1, order=["b", "none", "a"], resamples=50)
    assert ordered["group"].tolist() == ["b", "b", "a", "a"]
    with pytest.raises(ValueError, match="model: expected 2 scores"):
        by_group(["a", "b"], {"model": [1.0]})


def test_strata_have_names():
    of_each, order = strata([0.2, 0.6, 0.79, 0.8, 1.0], [0.6, 0.8])
    assert order == ["below 0.6", "0.6 to 0.8", "0.8 or more"]
    assert of_each == [order[0], order[1], order[1], order[2], order[2]]
