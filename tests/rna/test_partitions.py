"""Split and cut: whole groups of similar sequences, by seed."""

import numpy as np
import pytest
from tests.rna.test_similarity import random_sequences, substituted

from priorwise.errors import BadInput
from priorwise.rna.clusters import REDUNDANT, RELATED
from priorwise.rna.partitions import cut_out, split
from priorwise.rna.records import RnaRecord
from priorwise.rna.similarity import nearest

NO_PAIRS = np.zeros((0, 2), np.int32)


def families(rng, n_families, size, share, partition=""):
    """Records of families whose members differ from one ancestor in `share` of their bases."""
    records = []
    for family, ancestor in enumerate(random_sequences(rng, n_families, 50, 90)):
        for member in range(size):
            sequence = substituted(rng, ancestor, share)
            records.append(
                RnaRecord(f"{family}.{member}", sequence, NO_PAIRS, str(family), partition)
            )
    return records


def by_partition(records):
    found = {}
    for record in records:
        found.setdefault(record.partition, []).append(record)
    return found


def test_no_sequence_of_the_cut_is_related_to_one_that_stays():
    records = families(np.random.default_rng(1), 40, 5, 0.15, "TR0")
    other = families(np.random.default_rng(2), 4, 5, 0.1, "TS0")
    parts = by_partition(cut_out([*records, *other], 0.1, seed=3))
    assert [r.id for r in parts["TS0"]] == [r.id for r in other]
    assert 15 <= len(parts["CUT"]) <= 20
    assert not {r.family for r in parts["CUT"]} & {r.family for r in parts["TR0"]}
    stays = [r.sequence for r in parts["TR0"]]
    _, similarity = nearest(stays, [r.sequence for r in parts["CUT"]])
    assert similarity.max() < RELATED


def test_the_cut_is_drawn_by_seed():
    records = families(np.random.default_rng(1), 40, 5, 0.15, "TR0")
    cuts = [
        {r.id for r in cut_out(records, 0.1, seed) if r.partition == "CUT"} for seed in (1, 1, 2)
    ]
    assert cuts[0] == cuts[1] != cuts[2]
    assert not any(r.partition == "CUT" for r in cut_out(records, 0, 1))


def test_sequences_without_structure_are_cut_only_together_with_others():
    labelled = families(np.random.default_rng(1), 20, 5, 0.15, "TR0")
    text = [
        RnaRecord(f"u{r.id}", r.sequence, None, r.family, "TR0")
        for r in families(np.random.default_rng(9), 20, 5, 0.15)
    ]
    cut = [r for r in cut_out([*labelled, *text], 0.1, seed=1) if r.partition == "CUT"]
    assert cut and all(r.pairs is not None for r in cut)
    assert any(r.partition == "CUT" for r in cut_out(text, 0.2, seed=1))  # none has a structure


def test_if_all_is_related_nothing_can_be_cut():
    records = families(np.random.default_rng(1), 1, 50, 0.05, "TR0")
    assert {r.partition for r in cut_out(records, 0.1, 1)} == {"TR0"}


def test_a_split_keeps_the_shares_and_parts_no_copies():
    records = families(np.random.default_rng(4), 60, 4, 0.03)
    parts = by_partition(split(records, 0.1, 0.2, seed=5))
    assert len(parts["VL0"]) == 24 and len(parts["TS0"]) == 48 and len(parts["TR0"]) == 168
    for name in ("VL0", "TS0"):
        others = [r.sequence for r in records if r.id not in {x.id for x in parts[name]}]
        assert nearest(others, [r.sequence for r in parts[name]])[1].max() < REDUNDANT
    again = split(records, 0.1, 0.2, seed=5)
    assert [r.partition for r in again] == [r.partition for r in split(records, 0.1, 0.2, 5)]
    assert [r.partition for r in again] != [r.partition for r in split(records, 0.1, 0.2, 6)]


def test_a_split_that_cannot_be_drawn_is_refused():
    records = families(np.random.default_rng(1), 1, 30, 0.02)
    with pytest.raises(BadInput, match="split: no group of similar sequences is small enough"):
        split(records, 0.1, 0.1, 1)
    assert {r.partition for r in split(records, 0, 0, 1)} == {"TR0"}
