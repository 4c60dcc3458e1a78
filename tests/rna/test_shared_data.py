"""The real structures beside the checkout: all are read, and say what they are known to say.

Counts are those of facts/rna.md; nothing of these files is in the repository.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from priorwise.rna.alphabet import encode
from priorwise.rna.formats.read import read_files
from priorwise.rna.formats.sound import sound
from priorwise.rna.formats.tabular import read_csv
from priorwise.rna.similarity import nearest_same_length
from priorwise.rna.structure import dot_bracket, is_canonical, pairs_of

SHARED = Path(os.environ.get("PRIORWISE_SHARED", Path(__file__).parents[3] / "shared"))


def shared(name):
    path = SHARED / "data" / "rna" / name
    if not path.exists():
        pytest.skip(f"the shared structures are not at {path} (set PRIORWISE_SHARED)")
    return path


def test_bprna_is_read_but_for_letters(tmp_path):
    found = read_files([shared("bprna.csv")], "drop")
    assert len(found.records) == 10150
    assert found.reasons == {"letter outside ACGUN": 10}
    by_partition = {p: sum(r.partition == p for r in found.records) for p in ("TR0", "VL0", "TS0")}
    assert by_partition == {"TR0": 4077, "VL0": 485, "TS0": 472}


def test_structures_are_written_as_they_were_read():
    for raw in read_csv(shared("fixture.csv")):
        record = sound(raw)
        again = dot_bracket(len(record.sequence), record.pairs)
        assert pairs_of(again).tolist() == record.pairs.tolist()
        if set(raw.structure) <= set("(.)"):
            assert again == raw.structure


def test_archive_ii_has_the_known_pairs():
    found = read_files([shared("archiveII.csv")], "refuse")
    assert len(found.records) == 3864
    assert sum(len(r.pairs) for r in found.records) == 210_148
    close = sum(int((r.pairs[:, 1] - r.pairs[:, 0] < 4).sum()) for r in found.records)
    assert close == 215
    for record in found.records:
        tokens = encode(record.sequence)
        assert is_canonical(tokens[record.pairs[:, 0]], tokens[record.pairs[:, 1]]).all()
    assert {r.family for r in found.records} == {
        *("5s", "srp", "tRNA", "tmRNA", "RNaseP", "grp1", "16s", "telomerase", "23s"),
    }


def test_bases_with_several_partners_are_read():
    found = read_files([shared("pdb_rna.csv")], "drop")
    assert len(found.records) + len(found.bad) == 203
    assert set(found.reasons) <= {"letter outside ACGUN"}
    several = [r for r in found.records if len(np.unique(r.pairs)) < r.pairs.size]
    assert several
    with pytest.raises(ValueError, match="several partners"):
        dot_bracket(len(several[0].sequence), several[0].pairs)


def test_copying_the_nearest_structure_scores_as_measured():
    """Strict mean F1 of the nearest TR0 sequence of equal length: .431 on TS0 (facts 8)."""
    records = read_files([shared("bprna.csv")], "drop").records
    train = [r for r in records if r.partition == "TR0"]
    test = [r for r in records if r.partition == "TS0"]
    index, _ = nearest_same_length([r.sequence for r in train], [r.sequence for r in test])
    scores = []
    for k, record in zip(index.tolist(), test, strict=True):
        true = {tuple(p) for p in record.pairs.tolist()}
        copied = {tuple(p) for p in train[k].pairs.tolist()} if k >= 0 else set()
        scores.append(2 * len(true & copied) / max(1, len(true) + len(copied)))
    assert np.mean(scores) == pytest.approx(0.431, abs=0.002)
