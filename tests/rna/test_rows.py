"""Rows in memory."""

import numpy as np

from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import UNKNOWN, loop_types, pairs_of

STRUCTURES = ["((...))", None, "....", ".((...)).", "(.[.).]"]
SEQUENCES = ["GGAAACC", "ACGUN", "ACGU", "AGGAAACCA", "GAGACAC"]


def records():
    return [
        RnaRecord(f"r{k}", s, None if t is None else pairs_of(t), f"family {k}", "TR0")
        for k, (s, t) in enumerate(zip(SEQUENCES, STRUCTURES, strict=True))
    ]


def test_rows_hold_what_the_records_held():
    rows = RnaRows.build(records())
    assert len(rows) == 5
    assert rows.lengths.tolist() == [7, 5, 4, 9, 7]
    assert rows.n_pairs.tolist() == [2, 0, 0, 2, 2]
    assert rows.labelled.tolist() == [True, False, True, True, True]
    assert rows.tokens.dtype == np.uint8 and rows.pairs.dtype == np.int32
    assert rows.loops.dtype == np.int8 and rows.offsets.dtype == np.int64
    for k, (sequence, structure) in enumerate(zip(SEQUENCES, STRUCTURES, strict=True)):
        assert rows.sequence(k) == sequence
        if structure is None:
            assert (rows.loops_of_row(k) == UNKNOWN).all()
        else:
            pairs = pairs_of(structure)
            assert rows.pairs_of_row(k).tolist() == pairs.tolist()
            assert rows.loops_of_row(k).tolist() == loop_types(len(sequence), pairs).tolist()


def test_take_chooses_and_orders():
    rows = RnaRows.build(records())
    for index in ([4, 0, 0, 1], np.array([False, True, True, False, True]), [], [-1 + 5]):
        taken = rows.take(index)
        chosen = np.flatnonzero(index).tolist() if isinstance(index, np.ndarray) else index
        again = RnaRows.build([records()[k] for k in chosen])
        for name in ("tokens", "offsets", "pairs", "pair_offsets", "loops", "labelled"):
            found, wanted = getattr(taken, name), getattr(again, name)
            assert found.dtype == wanted.dtype and found.tolist() == wanted.tolist(), name
        assert (taken.ids, taken.families) == (again.ids, again.families)


def test_records_and_back():
    rows = RnaRows.build(records())
    back = rows.records()
    assert [(r.id, r.sequence, r.family, r.partition) for r in back] == [
        (r.id, r.sequence, r.family, r.partition) for r in records()
    ]
    assert back[1].pairs is None and back[2].pairs.shape == (0, 2)
    assert len(RnaRows.build([])) == 0
    assert rows.of_partition("TS0").ids == [] and len(rows.of_partition("TR0")) == 5
