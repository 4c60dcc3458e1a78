"""Synthetic molecules: sound, canonical, by seed, and to be folded back from the sequence."""

import numpy as np
import pytest

from priorwise.rna.alphabet import encode, normalise
from priorwise.rna.grammar import (
    FAMILIES,
    LEAST_LENGTH,
    SHORTEST_STEM,
    TRAINED,
    UNTRAINED,
    molecule,
    synthetic_records,
)
from priorwise.rna.similarity import nearest_same_length
from priorwise.rna.structure import (
    BULGE,
    CANONICAL,
    HAIRPIN,
    LOOP,
    MIN_LOOP,
    STEM,
    dot_bracket,
    is_canonical,
    loop_types,
    pairs_of,
)

SIZES = {"TR0": 120, "VL0": 30, "TS0": 40, "NEW": 50}


@pytest.fixture(scope="module")
def records():
    return synthetic_records(SIZES, 30, 80, seed=1)


def test_sizes_lengths_and_letters(records):
    for partition, size in SIZES.items():
        assert sum(r.partition == partition for r in records) == size
    assert len({r.id for r in records}) == len(records)
    assert all(r.id.startswith("synthetic-") and r.family.startswith("synthetic-") for r in records)
    lengths = [len(r.sequence) for r in records]
    assert min(lengths) >= 30 and max(lengths) <= 80
    assert all(normalise(r.sequence) == r.sequence and "N" not in r.sequence for r in records)


def test_new_has_families_of_its_own(records):
    families = {p: {r.family for r in records if r.partition == p} for p in SIZES}
    assert families["NEW"] == set(UNTRAINED)
    for partition in ("TR0", "VL0", "TS0"):
        assert families[partition] == set(TRAINED)


def test_every_pair_is_canonical_and_leaves_room_for_a_loop(records):
    for record in records:
        tokens, (i, j) = encode(record.sequence), record.pairs.T
        assert is_canonical(tokens[i], tokens[j]).all()
        assert (j - i > MIN_LOOP).all()
        assert len(np.unique(record.pairs)) == record.pairs.size


def test_no_stem_could_go_on(records):
    for record in records:
        structure = dot_bracket(len(record.sequence), record.pairs)
        for i, j in record.pairs.tolist():
            for a, b in ((i + 1, j - 1), (i - 1, j + 1)):
                if 0 <= a < b < len(structure) and structure[a] == structure[b] == ".":
                    assert record.sequence[a] + record.sequence[b] not in CANONICAL


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_its_shape(name):
    family, rng = FAMILIES[name], np.random.default_rng(3)
    seen = set()
    for _ in range(60):
        _, structure = molecule(family, 30, 90, rng)
        types = loop_types(len(structure), pairs_of(structure))
        hairpins = np.flatnonzero((types[:-1] != HAIRPIN) & (types[1:] == HAIRPIN))
        assert len(hairpins) == family.arms
        depth = np.cumsum([{"(": 1, ")": -1}.get(c, 0) for c in structure])
        outside = np.flatnonzero((depth == 0) & (np.array(list(structure)) == ")"))
        assert len(outside) == (1 if family.closed else family.arms)
        assert structure.count("(") >= SHORTEST_STEM * (family.arms + family.closed)
        seen |= set(types.tolist())
    assert {STEM, HAIRPIN} <= seen
    assert (BULGE in seen) == bool(family.bulge)
    assert (LOOP in seen) == bool(family.interior or family.closed)


def test_the_same_seed_gives_the_same_rows_whatever_the_other_sizes():
    first = synthetic_records(SIZES, 30, 80, seed=1)
    other = synthetic_records({**SIZES, "TR0": 60, "VL0": 5}, 30, 80, seed=1)
    key = {(r.id, r.sequence) for r in first}
    assert {(r.id, r.sequence) for r in other} <= key
    reseeded = synthetic_records(SIZES, 30, 80, seed=2)
    assert not {r.sequence for r in reseeded} & {r.sequence for r in first}


@pytest.mark.parametrize(("low", "high"), [(1, LEAST_LENGTH), (70, 70), (200, 220)])
def test_extreme_lengths(low, high):
    for record in synthetic_records({"TR0": 20, "VL0": 1, "TS0": 1, "NEW": 20}, low, high, 1):
        assert low <= len(record.sequence) <= high


def test_structures_follow_from_the_sequence_and_not_from_the_neighbour(records):
    """An energy model that knows nothing of the grammar finds them; copying does not."""
    fold = pytest.importorskip("RNA", reason="ViennaRNA is not installed (extra rna)").fold
    held_out = [r for r in records if r.partition in ("TS0", "NEW")]
    folded = [_f1(pairs_of(fold(r.sequence)[0]), r.pairs) for r in held_out]
    assert np.mean(folded) > 0.8
    train = [r for r in records if r.partition == "TR0"]
    index, _ = nearest_same_length([r.sequence for r in train], [r.sequence for r in held_out])
    copied = [
        _f1(train[k].pairs, r.pairs) if k >= 0 else 0.0
        for k, r in zip(index.tolist(), held_out, strict=True)
    ]
    assert np.mean(copied) < 0.15


def _f1(found, true):
    found, true = {tuple(p) for p in found.tolist()}, {tuple(p) for p in true.tolist()}
    return 2 * len(found & true) / (len(found) + len(true))
