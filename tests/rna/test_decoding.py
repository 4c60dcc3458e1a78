import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.reference import decoding as reference
from tests.reference import opinions

from priorwise.rna import matching
from priorwise.rna.agreement import supported
from priorwise.rna.alphabet import CLS, PAD, SEP, A, encode
from priorwise.rna.decoding import Decoder
from priorwise.rna.nested import best_nested
from priorwise.rna.nesting import nested_pairs

METHODS = ("greedy", "matching", "nested")
GRID = np.round(np.linspace(0.05, 0.95, 19), 2).tolist()


def matrix(length, rng, share=0.3, digits=None):
    """Symmetric; a share of the cells is likely. Few digits make ties."""
    p = np.where(rng.random((length, length)) < share, rng.random((length, length)), 0.01)
    p = np.triu(p if digits is None else p.round(digits), 1)
    return (p + p.T).astype(np.float32)


def sequence(length, rng, letters="ACGUN"):
    return "".join(rng.choice(list(letters), length))


def case(seed, length=None, **options):
    rng = np.random.default_rng(seed)
    length = int(rng.integers(0, 10)) if length is None else length
    return sequence(length, rng), matrix(length, rng, **options)


def as_set(pairs):
    return {(int(i), int(j)) for i, j in pairs}


def check_valid(pairs, letters, p, decoder):
    assert pairs.dtype == np.int32 and pairs.shape == (len(pairs), 2)
    assert pairs.tolist() == sorted(pairs.tolist())
    assert np.unique(pairs).size == pairs.size  # at most one partner
    cells = reference.allowed(
        letters, p, decoder.threshold, decoder.canonical_only, decoder.noncanonical_penalty
    )
    assert as_set(pairs) <= set(cells)
    if decoder.method == "nested":
        found = sorted(as_set(pairs))
        assert not any(reference.crosses(a, b) for a in found for b in found if a < b)
    return cells


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("method", METHODS)
@given(
    seed=st.integers(0, 2**32),
    threshold=st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.9, 1.0]),
    canonical_only=st.booleans(),
    penalty=st.sampled_from([0.0, 0.25]),
)
def test_best_structure_of_all(method, digits, seed, threshold, canonical_only, penalty):
    letters, p = case(seed, digits=digits)
    decoder = Decoder(method, threshold, canonical_only, penalty)
    pairs = decoder.decode(p, encode(letters))
    cells = check_valid(pairs, letters, p, decoder)
    if method == "greedy":
        assert as_set(pairs) == reference.greedy(cells)
    else:
        value = sum((cells[c] - Fraction(threshold) for c in as_set(pairs)), Fraction(0))
        best = reference.best_value(cells, threshold, nested=method == "nested")
        assert best - value <= 1e-7


def test_odd_cycle_is_resolved():
    # 0, 5 and 10 all want each other: halves of three pairs would be worth .75 - .3
    letters = "AAAAAAAAAAAAAAA"
    p = np.zeros((15, 15), np.float32)
    for i, j, value in ((0, 5, 0.5), (5, 10, 0.625), (0, 10, 0.5)):
        p[i, j] = p[j, i] = value
    tokens = encode(letters)
    assert as_set(Decoder("matching", 0.25).decode(p, tokens)) == {(5, 10)}
    p[10, 14] = p[14, 10] = 0.5  # now 10 has another partner
    assert as_set(Decoder("matching", 0.25).decode(p, tokens)) == {(0, 5), (10, 14)}


def test_odd_cycles_of_a_large_part_are_repaired(monkeypatch):
    exact, repaired = [], []
    for seed in range(200):
        letters, p = case(seed, length=12, share=0.5)
        decoder = Decoder("matching", 0.2)
        for values, most in ((exact, 250), (repaired, 0)):
            monkeypatch.setattr(matching, "MOST_EXACT", most)
            pairs = decoder.decode(p, encode(letters))
            check_valid(pairs, letters, p, decoder)
            values.append(sum(p[i, j] - 0.2 for i, j in pairs))
    assert (np.array(repaired) <= np.array(exact) + 1e-6).all()
    assert (np.array(repaired) >= 0.75 * np.array(exact)).all()
    assert not np.allclose(repaired, exact)  # or the case never came up


def test_crossing_pairs_only_where_they_may():
    tokens, p = encode("GGGGGGGGGGGGGGG"), np.zeros((15, 15))
    p[0, 8] = p[4, 12] = 0.9
    assert as_set(Decoder("matching", 0.5).decode(p, tokens)) == {(0, 8), (4, 12)}
    assert as_set(Decoder("greedy", 0.5).decode(p, tokens)) == {(0, 8), (4, 12)}
    assert len(Decoder("nested", 0.5).decode(p, tokens)) == 1


def test_a_pair_at_the_threshold_is_taken():
    tokens, p = encode("GGGGGGGGGG"), np.zeros((10, 10))
    p[0, 9] = p[1, 8] = 0.35
    for method in METHODS:
        assert len(Decoder(method, 0.35).decode(p, tokens)) == 2


def test_only_canonical_pairs():
    tokens, p = encode("AGAAAAACAA"), np.zeros((10, 10))
    p[0, 9], p[1, 7] = 0.9, 0.6
    for method in METHODS:
        assert as_set(Decoder(method, canonical_only=True).decode(p, tokens)) == {(1, 7)}
        assert as_set(Decoder(method, noncanonical_penalty=0.3).decode(p, tokens)) == {
            (0, 9),
            (1, 7),
        }
        assert as_set(Decoder(method, noncanonical_penalty=0.5).decode(p, tokens)) == {(1, 7)}


@pytest.mark.parametrize("method", METHODS)
def test_ties_are_broken_the_same_way_again(method):
    tokens, p = encode("G" * 30), np.full((30, 30), 0.75)
    found = [Decoder(method).decode(p.copy(), tokens).tolist() for _ in range(3)]
    assert found[0] == found[1] == found[2] and found[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("discount", [0.0, 0.6])
def test_padding_and_special_tokens_change_nothing(method, digits, discount):
    decoder = Decoder(method, 0.3, doubt_discount=discount)
    for seed in range(20):
        letters, p = case(seed, length=40, digits=digits)
        tokens = encode(letters)
        alone = decoder.decode(p, tokens)
        framed = np.full((60, 60), 0.99, np.float32)
        framed[1:41, 1:41] = p
        around = np.concatenate([[CLS], tokens, [SEP], np.full(18, PAD)])
        inside = decoder.decode(framed, around)
        assert (inside - 1).tolist() == alone.tolist()
        padded = np.pad(p, (0, 9), constant_values=np.nan)
        after = decoder.decode(padded, np.pad(tokens, (0, 9), constant_values=PAD))
        assert after.tolist() == alone.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_a_discount_lowers_the_threshold_by_the_doubt(method):
    for seed in range(15):
        letters, p = case(seed, length=30, share=0.1)
        tokens = encode(letters)
        own = 0.5 * (1 - 0.6 * opinions.doubt(np.triu(p[np.ix_(tokens >= A, tokens >= A)], 1)))
        found = Decoder(method, 0.5, noncanonical_penalty=0.1, doubt_discount=0.6)
        lower = Decoder(method, own, noncanonical_penalty=0.1)
        assert found.decode(p, tokens).tolist() == lower.decode(p, tokens).tolist()
    # a pair of .4: its doubt is .6, so the threshold is .5 * (1 - .6 * .6) = .32
    p = np.zeros((6, 6))
    p[0, 5] = 0.4
    tokens = encode("GAAAAC")
    assert Decoder(method, 0.5, doubt_discount=0.6).lowering(p, tokens) == pytest.approx(0.64)
    assert Decoder(method, 0.5, doubt_discount=0.6).decode(p, tokens).tolist() == [[0, 5]]
    assert Decoder(method, 0.5, doubt_discount=0.3).decode(p, tokens).tolist() == []
    assert Decoder(method, 0.5).lowering(p, tokens) == 1


def test_a_threshold_in_its_place_is_the_same_for_all_sequences():
    decoder = Decoder("greedy", 0.5, True, 0.1, 0.6)
    assert decoder.at(0.35) == Decoder("greedy", 0.35, True, 0.1)
    assert decoder.at(0.5) is decoder


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("discount", [0.0, 0.5])
def test_many_thresholds_at_once_give_what_each_gives_alone(method, discount):
    options = {"noncanonical_penalty": 0.1, "doubt_discount": discount}
    for seed in range(15):
        letters, p = case(seed, length=45, share=0.1)
        tokens = encode(letters)
        decoder = Decoder(method, **options)
        thresholds = GRID[::-1] + [0.5, 0.123]
        found = decoder.decode_each(p, tokens, thresholds)
        assert len(found) == len(thresholds)
        for t, pairs in zip(thresholds, found, strict=True):
            alone = Decoder(method, t, **options).decode(p, tokens)
            assert pairs.tolist() == alone.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [0, 1, 4, 5])
def test_short_sequences(method, length):
    p, tokens = np.full((length, length), 0.9), encode("G" * length)
    found = Decoder(method).decode(p, tokens)
    assert found.tolist() == ([[0, 4]] if length == 5 else [])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("discount", [0.0, 0.7])
def test_loop_types_move_the_scores_and_not_the_doubt(method, discount):
    for seed in range(20):
        letters, p = case(seed, length=14)
        stems = np.random.default_rng(seed).random(14).astype(np.float32)
        tokens = encode(letters)
        decoder = Decoder(method, 0.5, False, 0.1, discount, stem_weight=0.4)
        lowered = decoder.lowering(p, tokens)
        base = tokens >= A
        doubt = opinions.doubt(np.triu(p, 1)[np.ix_(base, base)].astype(float))
        assert lowered == pytest.approx(1 - discount * doubt)
        plain = Decoder(method, 0.5 * lowered, False, 0.1)
        wanted = plain.decode(supported(p, stems, 0.4), tokens)
        assert np.array_equal(decoder.decode(p, tokens, stems), wanted)
        each = decoder.decode_each(p, tokens, [0.3, 0.5], stems)
        assert np.array_equal(each[1], wanted)


def test_loop_types_are_asked_for_where_they_are_needed():
    tokens, p = encode("GGGGAAAACCCC"), np.full((12, 12), 0.5)
    for stems, told in ((None, "none"), (np.ones(11), r"shape \(11,\)")):
        with pytest.raises(ValueError, match=f"12 bases, as stem_weight is 0.4; got {told}"):
            Decoder(stem_weight=0.4).decode(p, tokens, stems)
    assert len(Decoder().decode(p, tokens)) == 4  # nobody listens, so nobody has to speak


def test_settings_survive_a_dict():
    decoder = Decoder("matching", 0.35, True, 0.125, 0.25, 0.2)
    assert Decoder.from_dict(decoder.to_dict()) == decoder
    assert Decoder.from_dict({}) == Decoder()
    with pytest.raises(ValueError, match="unknown setting 'treshold'"):
        Decoder.from_dict({"treshold": 0.5})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"method": "best"}, "method: 'best'"),
        ({"threshold": 1.5}, "threshold: expected a number in"),
        ({"threshold": float("nan")}, "threshold"),
        ({"doubt_discount": -0.1}, "doubt_discount: expected a number in"),
        ({"doubt_discount": 1.1}, "doubt_discount"),
        ({"noncanonical_penalty": -0.1}, "noncanonical_penalty: expected 0 or more"),
        ({"stem_weight": -0.1}, "stem_weight: expected 0 or more"),
        ({"stem_weight": float("inf")}, "stem_weight"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Decoder(**settings)


def test_what_is_no_matrix_of_probabilities_is_refused():
    tokens = encode("GGGGGGGG")
    with pytest.raises(ValueError, match=r"expected shape \(8, 8\).*got \(8, 9\)"):
        Decoder().decode(np.zeros((8, 9)), tokens)
    p = np.zeros((8, 8))
    p[0, 7] = np.nan
    for decoder in (Decoder(), Decoder(doubt_discount=0.5)):
        with pytest.raises(ValueError, match="finite"):
            decoder.decode(p, tokens)


def test_equal_pairs_give_the_largest_nested_set():
    # `nesting` marks the largest crossing-free part of a structure; the same question, asked there
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ends = np.sort(rng.integers(0, 20, (12, 2)), axis=1)
        pairs = np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0).astype(np.int32)
        found = best_nested(pairs[:, 0], pairs[:, 1], np.ones(len(pairs)))
        assert found.size == nested_pairs(pairs).sum()


@pytest.mark.parametrize("length", [99, 512])
def test_nested_is_fast_when_every_cell_is_likely(length):
    rng = np.random.default_rng(0)
    tokens, p = encode("G" * length), matrix(length, rng, share=1.0)
    decoder = Decoder("nested", 0.0)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        decoder.decode(p, tokens)
        seconds.append(time.process_time() - start)
    # measured on one idle core: 4 ms and .2 s; a loop over cells would take seconds
    assert min(seconds) < {99: 0.05, 512: 2.0}[length]
