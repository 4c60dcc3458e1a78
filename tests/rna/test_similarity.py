"""How alike two sequences are, against a version with dictionaries."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.reference.word_similarity import linked
from tests.reference.word_similarity import similarity as reference

from priorwise.rna.clusters import RELATED, clusters, whole_clusters
from priorwise.rna.overlap import overlaps
from priorwise.rna.similarity import nearest, nearest_same_length, similarities

sequences = st.lists(st.text("ACGUN", min_size=1, max_size=30), min_size=1, max_size=6)


def random_sequences(rng, n, low=30, high=60):
    return ["".join(rng.choice(list("ACGU"), rng.integers(low, high))) for _ in range(n)]


def substituted(rng, sequence, share):
    letters = list(sequence)
    for k in np.flatnonzero(rng.random(len(letters)) < share):
        letters[k] = str(rng.choice([x for x in "ACGU" if x != letters[k]]))
    return "".join(letters)


def matrix(train, query):
    return np.concatenate([block for _, block in similarities(train, query)], axis=1)


@given(sequences, sequences)
@settings(deadline=None)
def test_every_similarity_is_that_of_the_reference(train, query):
    found = matrix(train, query)
    wanted = [[reference(a, b) for b in query] for a in train]
    assert found == pytest.approx(np.array(wanted), abs=1e-5)
    assert found == pytest.approx(matrix(query, train).T, abs=1e-6)
    index, best = nearest(train, query)
    assert best == pytest.approx(np.max(wanted, axis=0), abs=1e-5)
    assert found[index, np.arange(len(query))].tolist() == best.tolist()


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    train, query = random_sequences(rng, 30), random_sequences(rng, 70)
    whole = matrix(train, query)
    monkeypatch.setattr("priorwise.rna.similarity._BLOCK", 1)
    assert len(list(similarities(train, query))) == 5  # 16 at a time
    assert matrix(train, query) == pytest.approx(whole, abs=1e-6)


def test_equal_sequences_have_similarity_one():
    rng = np.random.default_rng(1)
    rows = random_sequences(rng, 20)
    index, best = nearest(rows, rows)
    assert index.tolist() == list(range(20))
    assert best == pytest.approx(1, abs=1e-6) and best.max() <= 1


def test_of_several_as_similar_the_first_is_named():
    assert nearest(["AAAAAAAA", "ACGUACGU", "ACGUACGU"], ["ACGUACGU"])[0].tolist() == [1]
    assert nearest_same_length(["AAAA", "ACGU", "ACGU"], ["ACGU"])[0].tolist() == [1]


def test_without_training_sequences_there_is_no_neighbour():
    for function in (nearest, nearest_same_length):
        index, value = function([], ["ACGU", "A"])
        assert index.tolist() == [-1, -1] and value.tolist() == [0, 0]
        assert function(["ACGU"], [])[0].shape == (0,)


def test_relatives_are_told_from_strangers():
    """At 70 % shared bases, where a plain 6-mer cosine is down in the noise."""
    rng = np.random.default_rng(2)
    train = random_sequences(rng, 300)
    relatives = [substituted(rng, s, 0.3) for s in train[:100]]
    index, best = nearest(train, relatives)
    assert np.mean(index == np.arange(100)) > 0.85
    _, strangers = nearest(train, random_sequences(rng, 100))
    assert np.mean(best > RELATED) > 0.75
    assert np.mean(strangers > RELATED) < 0.1


def test_a_shifted_piece_is_found():
    rng = np.random.default_rng(4)
    train = random_sequences(rng, 200, 70, 90)
    pieces = [s[12:-15] for s in train[:50]]
    index, best = nearest(train, pieces)
    assert index.tolist() == list(range(50)) and best.min() > 0.6


@given(sequences, sequences)
@settings(deadline=None)
def test_nearest_of_the_same_length_by_counting(train, query):
    index, identity = nearest_same_length(train, query)
    for k, sequence in enumerate(query):
        best = (-1, 0.0)
        for number, other in enumerate(train):
            if len(other) == len(sequence):
                equal = sum(a == b for a, b in zip(other, sequence, strict=True)) / len(other)
                if best[0] < 0 or equal > best[1]:
                    best = (number, equal)
        assert (index[k], identity[k]) == (best[0], pytest.approx(best[1], abs=1e-6))


@given(st.lists(st.text("ACG", min_size=1, max_size=9), min_size=1, max_size=9))
@settings(deadline=None)
def test_clusters_are_the_linked_ones(rows):
    bound = 0.5123  # cosines of so few words never meet it, so that rounding decides nothing
    labels = clusters(rows, bound)
    groups = linked(rows, bound)
    assert labels.tolist() == [
        next(n for n, g in enumerate(groups) if k in g) for k in range(len(rows))
    ]


def test_whole_clusters_never_take_a_part():
    labels = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    sizes = set()
    for seed in range(30):
        taken = whole_clusters(labels, 4, np.random.default_rng(seed))
        assert taken.sum() <= 4
        for group in range(4):
            assert len(set(taken[labels == group])) == 1
        sizes.add(int(taken.sum()))
    assert 4 in sizes
    again = [whole_clusters(labels, 4, np.random.default_rng(7)).tolist() for _ in range(2)]
    assert again[0] == again[1]
    assert not whole_clusters(labels, 0, np.random.default_rng(1)).any()


def test_overlap_between_partitions():
    rng = np.random.default_rng(5)
    train, other = random_sequences(rng, 40), random_sequences(rng, 10)
    near = [s[:9] + ("A" if s[9] != "A" else "C") + s[10:] for s in train[:4]]
    found = overlaps({"TR0": train, "VL0": [], "TS0": [*train[:3], *near, *other], "NEW": ["AC"]})
    assert [(o.first, o.second) for o in found] == [
        ("TR0", "TS0"),
        ("TR0", "NEW"),
        ("TS0", "NEW"),
    ]
    test = found[0]
    assert (test.rows, test.exact, test.highest) == (17, 3, 1.0)
    assert test.near_copies == pytest.approx(7 / 17)
    assert 0.4 < test.mean < 0.6
    assert (found[1].exact, found[1].highest, found[1].near_copies) == (0, 0, 0)


def test_an_exact_copy_too_short_for_any_word_counts():
    [found] = overlaps({"TR0": ["AC", "NNNNNN"], "TS0": ["AC", "NNNNNN", "GU"]})
    assert (found.exact, found.highest, found.near_copies) == (2, 1, pytest.approx(2 / 3))


@pytest.mark.slow
def test_five_thousand_in_four_thousand_take_seconds():
    rng = np.random.default_rng(6)
    train, query = random_sequences(rng, 4000, 30, 100), random_sequences(rng, 5000, 30, 100)
    start = time.perf_counter()
    nearest(train, query)
    assert time.perf_counter() - start < 40
