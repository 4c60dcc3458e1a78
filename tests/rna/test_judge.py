"""What a validation says of structures."""

import numpy as np
import pytest
from tests.reference.structures import average_precision, strict

from priorwise.rna.decoding import Decoder
from priorwise.rna.judge import TRIED, StructureJudge
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.structure import pairs_of

PARTITIONS = ["VL0", "CUT", "VL0", "CUT", "VL0"]
STRUCTURES = ["((((....))))...", "..(((...)))....", ".(((((...))))).", "...............", None]


def rows_of(partitions=PARTITIONS, structures=STRUCTURES):
    return RnaRows.build(
        RnaRecord(f"r{k}", "GCGCAUAUGCGCGUA", None if s is None else pairs_of(s), "", p)
        for k, (p, s) in enumerate(zip(partitions, structures, strict=True))
    )


#: the loop types say nothing
UNSURE = np.full(15, 0.5, np.float32)
#: pairs of bases that are free in each structure: whatever is called of them is wrong
WRONG = [[(4, 12), (5, 13)], [(0, 12), (1, 11)], [(0, 14)], [(0, 12), (3, 9)], [(2, 8)]]


def probabilities(row, seed=0):
    """No two cells in conflict: whatever is at the threshold is decoded."""
    rng = np.random.default_rng([row, seed])
    structure = STRUCTURES[row]
    true = [] if structure is None else pairs_of(structure).tolist()
    found = np.zeros((15, 15), np.float32)
    for i, j in [*true, *WRONG[row]]:
        found[i, j] = found[j, i] = rng.uniform(0.1, 0.9)
    return found


def judged(rows, order=None):
    judge = StructureJudge(rows, Decoder("greedy", 0.9))
    for row in order or range(len(rows)):
        judge.add(row, probabilities(row), UNSURE)
    return judge


def expected(rows):
    """Mean strict F1 of each part at each threshold, by sets of pairs."""
    parts = {"VL0": [], "CUT": []}
    for k in range(len(rows)):
        if not rows.labelled[k]:
            continue
        p, true = probabilities(k), set(map(tuple, rows.pairs_of_row(k).tolist()))
        cells = [(i, j) for i in range(15) for j in range(i + 4, 15)]
        found = [{c for c in cells if p[c] >= np.float32(t)} for t in TRIED]
        parts[rows.partitions[k]].append([strict(f, true)[2] for f in found])
    return {name: np.mean(f1, axis=0) for name, f1 in parts.items() if f1}


def test_selection_is_the_mean_of_both_parts_at_the_best_threshold():
    rows = rows_of()
    wanted = expected(rows)
    both = (wanted["VL0"] + wanted["CUT"]) / 2
    assert len(set(both.tolist())) > 2
    for order in ([0, 1, 2, 3, 4], [4, 2, 3, 0, 1]):
        found = judged(rows, order).metrics()
        best = int(both.argmax())
        assert found["selection_f1"] == pytest.approx(both.max())
        assert found["selection_threshold"] == TRIED[best]
        assert found["val_strict_f1"] == pytest.approx(wanted["VL0"][best])
        assert found["cut_strict_f1"] == pytest.approx(wanted["CUT"][best])


def test_the_parts_weigh_the_same_however_many_rows_they_have():
    rows = rows_of(["VL0", "CUT", "VL0", "VL0", "VL0"])
    wanted = expected(rows)
    found = judged(rows).metrics()
    assert found["selection_f1"] == pytest.approx(((wanted["VL0"] + wanted["CUT"]) / 2).max())


@pytest.mark.parametrize("only", ["VL0", "CUT"])
def test_one_part_alone(only):
    rows = rows_of([only] * 5)
    wanted = expected(rows)[only]
    found = judged(rows).metrics()
    name = {"VL0": "val_strict_f1", "CUT": "cut_strict_f1"}
    assert found["selection_f1"] == found[name.pop(only)] == pytest.approx(wanted.max())
    assert not set(name.values()) & set(found)


def test_average_precision_is_of_the_validation_partition_only():
    rows = rows_of()
    cells = []
    for k in (0, 2):
        p, true = probabilities(k), set(map(tuple, rows.pairs_of_row(k).tolist()))
        cells += [(p[i, j], (i, j) in true) for i in range(15) for j in range(i + 4, 15)]
    assert judged(rows).metrics()["val_ap"] == pytest.approx(average_precision(cells), abs=1e-3)


def test_without_structures_there_is_nothing_to_say():
    assert judged(rows_of(structures=[None] * 5)).metrics() == {}


def test_each_epoch_begins_anew():
    rows = rows_of()
    judge = judged(rows)
    first = judge.metrics()
    for row in range(5):  # the same rows again: no row counts twice
        judge.add(row, probabilities(row, seed=1), UNSURE)
    judge.clear()
    assert judge.metrics() == {}
    for row in range(5):
        judge.add(row, probabilities(row), UNSURE)
    assert judge.metrics() == first


def test_the_decoder_of_the_options_decides():
    rows = RnaRows.build([RnaRecord("", "A" * 15, pairs_of(STRUCTURES[0]), "", "VL0")])
    f1 = {}
    for canonical_only in (False, True):
        judge = StructureJudge(rows, Decoder("nested", 0.5, canonical_only))
        p = np.zeros((15, 15), np.float32)
        for i, j in pairs_of(STRUCTURES[0]):
            p[i, j] = p[j, i] = 0.95
        judge.add(0, p, UNSURE)
        f1[canonical_only] = judge.metrics()["selection_f1"]
    assert f1 == {False: 1.0, True: 0.0}


def test_loop_types_are_heard_where_the_decoder_says_so():
    rows = RnaRows.build([RnaRecord("", "GCGCAUAUGCGCGUA", pairs_of(STRUCTURES[0]), "", "VL0")])
    p = np.zeros((15, 15), np.float32)
    for i, j in pairs_of(STRUCTURES[0]):
        p[i, j] = p[j, i] = 0.15  # below all thresholds tried
    stems = np.full(15, 0.1, np.float32)
    stems[pairs_of(STRUCTURES[0]).ravel()] = 0.99
    f1 = []
    for weight in (0.0, 1.0):
        judge = StructureJudge(rows, Decoder("greedy", stem_weight=weight))
        judge.add(0, p, stems)
        f1.append(judge.metrics()["selection_f1"])
    assert f1 == [0.0, 1.0]
