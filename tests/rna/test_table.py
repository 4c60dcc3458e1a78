"""The table on disk: written, read whole once, checked row by row, loaded."""

import numpy as np
import pyarrow as pa
import pytest

from priorwise.errors import BadInput
from priorwise.rna.read_rows import load_rows
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows
from priorwise.rna.schema import RNA_SCHEMA
from priorwise.rna.structure import pairs_of
from priorwise.rna.table import batches, inspect
from priorwise.store.tables import scan, write_table

SEVERAL = np.array([[0, 6], [1, 4], [1, 5]], np.int32)
RECORDS = [
    RnaRecord("a", "GGAAACC", pairs_of("((...))"), "tRNA", "TR0"),
    RnaRecord("b", "GAAAACN", pairs_of("((...))"), "tRNA", "TR0"),
    RnaRecord("c", "ACGU", None, "", "TR0"),
    RnaRecord("d", "ACGUACGUA", pairs_of("........."), "5s", "VL0"),
    RnaRecord("e", "GGAAACC", SEVERAL, "5s", "NEW"),
]


def written(folder, records=RECORDS, **columns):
    """Folder of a table; `columns` replaces whole columns."""
    table = pa.Table.from_batches(list(batches(records)), RNA_SCHEMA)
    for name, values in columns.items():
        if values is None:
            table = table.drop_columns(name)
            continue
        column = (
            values
            if isinstance(values, pa.Array)
            else pa.array(values, RNA_SCHEMA.field(name).type)
        )
        table = table.set_column(table.schema.get_field_index(name), name, column)
    write_table(str(folder / "rna_data"), table.schema, table.to_batches())
    return folder


def test_facts_of_a_table(tmp_path):
    pinned, facts = inspect(str(written(tmp_path)))
    assert pinned.schema.names == [
        *("id", "sequence", "structure", "pairs", "family", "partition"),
    ]
    assert (facts.n_rows(), facts.n_labelled(), facts.n_pairs()) == (5, 4, 7)
    assert facts.partitions == ["TR0", "VL0", "NEW"]
    assert (facts.n_rows("TR0"), facts.n_labelled("TR0"), facts.n_pairs("TR0")) == (3, 2, 4)
    assert (facts.n_rows("CUT"), facts.n_pairs("CUT")) == (0, 0)
    assert facts.non_canonical_share("TR0") == 2 / 4  # G-N and A-C
    assert facts.non_canonical_share("NEW") == 1 / 3  # G-C, G-A, G-C
    assert facts.family_counts("TR0") == {"": 1, "tRNA": 2}
    assert facts.longest == {"TR0": 7, "VL0": 9, "NEW": 7}
    assert facts.profile() == {
        **{"rows": 5, "labelled": 4, "pairs": 7, "longest": 9},
        **{"rows_TR0": 3, "rows_VL0": 1, "rows_NEW": 1},
    }
    assert (facts.schema, facts.version, len(facts.digest)) == ("rna/1", 1, 32)


def test_structure_is_null_where_it_is_unknown_or_cannot_be_said(tmp_path):
    pinned, _ = inspect(str(written(tmp_path)))
    [batch] = scan(pinned)
    assert batch.column("structure").to_pylist() == [
        *("((...))", "((...))", None, ".........", None),
    ]
    assert batch.column("pairs").to_pylist()[2:] == [None, [], SEVERAL.tolist()]


def test_it_is_read_once_and_found_by_folder_or_by_name(tmp_path):
    folder = written(tmp_path)
    first = inspect(str(folder))[1]
    assert inspect(str(folder / "rna_data"))[1] is first
    other = written(tmp_path / "other", RECORDS[:-1])
    assert inspect(str(other))[1].digest != first.digest
    same = written(tmp_path / "same")
    assert inspect(str(same))[1].digest == first.digest


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "no such folder"),
        ("empty", "holds no table rna_data"),
        ("file", "no table rna_data"),
    ],
)
def test_where_there_is_no_table_none_is_taken_instead(tmp_path, place, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=message):
        inspect(str(tmp_path / place))


def with_cell(name, row, value):
    table = pa.Table.from_batches(list(batches(RECORDS)), RNA_SCHEMA)
    values = table.column(name).to_pylist()
    values[row] = value
    return {name: values}


BAD = {
    "no column": ({"pairs": None}, "column pairs is missing"),
    "other type": (
        {"pairs": pa.array([[0]] * 5, pa.list_(pa.int32()))},
        "column pairs has type list<.*int32> .expected list<.*fixed_size_list",
    ),
    "null id": (with_cell("id", 1, None), "row 1: column id is empty"),
    "same id": (with_cell("id", 3, "b"), "row 3: column id: 'b' is that of row 1, too"),
    "empty sequence": (with_cell("sequence", 2, ""), "row 2: column sequence is empty"),
    "letter": (
        with_cell("sequence", 2, "ACXU"),
        "row 2: column sequence: letter 'X' at position 3",
    ),
    "T": (with_cell("sequence", 2, "ACGT"), "row 2: column sequence: not in capitals, or with T"),
    "null family": (with_cell("family", 2, None), "row 2: column family is empty"),
    "partition": (with_cell("partition", 4, "TS1"), "row 4: column partition: 'TS1' .expected one"),
    "pair beyond the end": (with_cell("pairs", 3, [[0, 9]]), r"row 3: column pairs: \[0, 9\]"),
    "pair the wrong way round": (with_cell("pairs", 3, [[7, 1]]), r"row 3: column pairs: \[7, 1\]"),
    "pair of one base": (with_cell("pairs", 4, [[3, 3]]), r"row 4: column pairs: \[3, 3\]"),
    "null in a pair": (with_cell("pairs", 4, [[None, 3]]), "row 4: column pairs: a null"),
    "pairs out of order": (with_cell("pairs", 4, [[1, 5], [0, 6]]), "row 4.*not in order"),
    "pair twice": (with_cell("pairs", 4, [[0, 6], [0, 6]]), "row 4.*or one twice"),
    "structure alone": (
        with_cell("structure", 2, "...."),
        "row 2: column structure: given without",
    ),
    "structure too long": (
        with_cell("structure", 0, "((....))"),
        "row 0.*8 characters .expected 7",
    ),
    "structure unbalanced": (with_cell("structure", 0, "((....)"), "row 0.*never closed"),
    "structure of other pairs": (with_cell("structure", 0, "(.....)"), "row 0.*other pairs than"),
    "no rows": ({}, "has no rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unsound_table_is_refused(tmp_path, name):
    columns, message = BAD[name]
    records = [] if name == "no rows" else RECORDS
    folder = written(tmp_path, records, **columns)
    with pytest.raises(BadInput, match=message) as refused:
        inspect(str(folder))
    assert str(folder) in str(refused.value)


def test_a_partition_or_pairs_that_are_missing_are_refused_before_training(tmp_path):
    _, facts = inspect(str(written(tmp_path)))
    facts.require("TR0", what="training", pairs=True)
    with pytest.raises(
        BadInput, match="no rows of partition TS0 .testing; has TR0 3, VL0 1, NEW 1"
    ):
        facts.require("TS0", what="testing")
    with pytest.raises(BadInput, match="none of the 1 rows of partition VL0 has a base pair"):
        facts.require("VL0", what="pair prediction", pairs=True)


def test_rows_of_partitions_are_loaded_and_long_ones_counted(tmp_path):
    pinned, _ = inspect(str(written(tmp_path)))
    rows, left_out = load_rows(pinned, ["TR0", "VL0", "NEW"], None)
    whole = RnaRows.build(RECORDS)
    assert left_out == 0 and rows.ids == whole.ids
    assert (rows.families, rows.partitions) == (whole.families, whole.partitions)
    for name in ("tokens", "offsets", "pairs", "pair_offsets", "loops", "labelled"):
        found, wanted = getattr(rows, name), getattr(whole, name)
        assert found.dtype == wanted.dtype and found.tolist() == wanted.tolist(), name
    some, left_out = load_rows(pinned, ["TR0", "VL0"], 7)
    assert (some.ids, left_out) == (["a", "b", "c"], 1)
    assert len(load_rows(pinned, ["CUT"], None)[0]) == 0
