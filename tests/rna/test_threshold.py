import numpy as np
import pytest
from tests.reference import structures as reference

from priorwise.rna import decoding
from priorwise.rna.alphabet import encode
from priorwise.rna.decoding import Decoder
from priorwise.rna.threshold import GRID, Example, choose_threshold


def examples(n, length=40, seed=0):
    """Hairpins with noisy probabilities."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        stem = int(rng.integers(3, 12))
        pairs = np.array([(k, length - 1 - k) for k in range(stem)], np.int32)
        p = rng.random((length, length)) ** 6
        p[pairs[:, 0], pairs[:, 1]] = rng.random(stem) ** 0.5
        p = np.triu(p, 1)
        letters = "".join(rng.choice(list("ACGU"), length))
        made.append(Example((p + p.T).astype(np.float32), encode(letters), pairs))
    return made


@pytest.mark.parametrize("method", ["greedy", "matching", "nested"])
def test_every_threshold_scores_what_decoding_at_it_does(method):
    given, thresholds = examples(12), [0.7, 0.2, 0.5, 0.9]
    choice = choose_threshold(Decoder(method, canonical_only=True), iter(given), thresholds)
    assert choice.table["threshold"].tolist() == sorted(thresholds)
    for line in choice.table.itertuples():
        decoder = Decoder(method, line.threshold, canonical_only=True)
        scores = []
        for e in given:
            found = decoder.decode(e.probabilities, e.tokens)
            scores.append(
                reference.strict(set(map(tuple, found.tolist())), set(map(tuple, e.pairs.tolist())))
            )
        np.testing.assert_allclose(
            [line.precision, line.recall, line.f1], np.mean(scores, axis=0), atol=1e-12
        )
    best = choice.table["f1"].idxmax()
    assert choice.f1 == choice.table["f1"].max()
    assert choice.decoder == Decoder(method, choice.table["threshold"][best], canonical_only=True)


def test_of_equally_good_thresholds_the_highest():
    (example,) = examples(1)
    p = np.zeros_like(example.probabilities)
    for i, j in example.pairs:
        p[i, j] = p[j, i] = 0.75
    choice = choose_threshold(Decoder(), [example._replace(probabilities=p)])
    assert choice.decoder.threshold == 0.74 and choice.f1 == 1


def test_greedy_decodes_once_for_all_thresholds(monkeypatch):
    calls = []
    decode = decoding._greedy
    monkeypatch.setattr(decoding, "_greedy", lambda cells: calls.append(1) or decode(cells))
    choose_threshold(Decoder("greedy"), examples(20), GRID)
    assert len(calls) == 20


@pytest.mark.parametrize("method", ["matching", "nested"])
def test_a_structure_is_looked_for_only_where_it_changes(monkeypatch, method):
    calls = []
    best = Decoder._best
    monkeypatch.setattr(Decoder, "_best", lambda *a: calls.append(1) or best(*a))
    (example,) = examples(1)
    p = np.zeros_like(example.probabilities)
    for i, j in example.pairs:
        p[i, j] = p[j, i] = 0.75
    choose_threshold(Decoder(method), [example._replace(probabilities=p)], GRID)
    assert len(calls) < 15 < len(GRID)


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(ValueError, match="examples"):
        choose_threshold(Decoder(), [])
    with pytest.raises(ValueError, match="thresholds"):
        choose_threshold(Decoder(), examples(1), [])
