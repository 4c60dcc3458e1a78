"""Files of sequences and structures: what is read, written, refused and dropped."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.errors import BadInput
from priorwise.rna.formats import raw
from priorwise.rna.formats.brackets import read_dot_bracket, write_dot_bracket
from priorwise.rna.formats.connect import read_bpseq, read_ct, write_bpseq, write_ct
from priorwise.rna.formats.inputs import find_inputs
from priorwise.rna.formats.read import read_files
from priorwise.rna.formats.sound import sound
from priorwise.rna.records import RnaRecord
from priorwise.rna.structure import pairs_of, sorted_pairs


def read(folder: Path, name: str, text: str | bytes, bad_rows="refuse"):
    path = folder / name
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return read_files([path], bad_rows)


def said(records):
    return [(r.id, r.sequence, None if r.pairs is None else r.pairs.tolist()) for r in records]


# --- CSV ------------------------------------------------------------------------------------------


def test_csv_with_brackets_family_and_partition(tmp_path):
    text = (
        "id,sequence,structure,source,partition,len\n"
        "a,ggaaacc,((...)),RFAM,TR0,7\n"
        "b,GGTTTCC,[[...]],CRW,test,7\n"
        "\n"
        "c,ACGUN,,RFAM,NEW,5\n"
    )
    found = read(tmp_path, "a.csv", text).records
    assert said(found) == [
        ("a", "GGAAACC", [[0, 6], [1, 5]]),
        ("b", "GGUUUCC", [[0, 6], [1, 5]]),
        ("c", "ACGUN", None),
    ]
    assert [(r.family, r.partition) for r in found] == [
        ("RFAM", "TR0"),
        ("CRW", "TS0"),
        ("RFAM", "NEW"),
    ]


def test_csv_with_base_pairs_in_any_order_and_several_partners(tmp_path):
    pairs = "[[7, 1], [1, 7], [2, 6], [2, 5]]"
    text = f'sequence,base_pairs,family,source\nGGAAACC,"{pairs}",tRNA,RFAM\nACGU,[],,\n'
    found = read(tmp_path, "pdb.csv.gz", text).records
    assert said(found) == [
        ("pdb:2", "GGAAACC", [[0, 6], [1, 4], [1, 5]]),
        ("pdb:3", "ACGU", []),
    ]
    assert found[0].family == "tRNA"


def test_csv_as_spreadsheets_write_it(tmp_path):
    text = '\ufeffid, sequence ,structure\r\n"a,1",GGAAACC,((...))\r\n'
    assert said(read(tmp_path, "a.csv", text).records) == [("a,1", "GGAAACC", [[0, 6], [1, 5]])]


def test_structure_and_base_pairs_must_agree(tmp_path):
    head = "id,sequence,structure,base_pairs\n"
    good = 'a,GGAAACC,((...)),"[[1, 7], [2, 6]]"\n'
    assert len(read(tmp_path, "a.csv", head + good).records) == 1
    with pytest.raises(BadInput, match=r"line 2 \(a\): broken record: structure and base_pairs"):
        read(tmp_path, "b.csv", head + 'a,GGAAACC,((...)),"[[1, 7]]"\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'sequence'"),
        ("id,seq\na,ACGU\n", "no column 'sequence'.*found id, seq"),
        ("id,sequence,id\na,ACGU,a\n", "column 'id' is there twice"),
        ('sequence\n"ACGU' + "A" * 140_000, "line 2: is no CSV"),
        (b"sequence\n\xff\xfe\n", "is no text"),
    ],
)
def test_files_that_are_no_such_csv_are_refused_even_with_drop(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        read(tmp_path, "a.csv", text, "drop")


# --- bad rows -------------------------------------------------------------------------------------

BAD = {
    "unbalanced brackets": ("GGAAACC,((...).", "'(' at position 1 is never closed"),
    "letter outside ACGUN": ("GGRAACC,((...))", "letter 'R' at position 3"),
    "sequence and structure of unequal length": ("GGAAACC,((....))", "7 bases, 8 characters"),
    "empty sequence": (",", "expected at least one"),
    "broken record": ("GGAAACC", "2 cells (expected 3"),
    "duplicate id": ("GGAAACC,((...))", "line 2, too"),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_row_is_refused_with_its_place_or_dropped_and_counted(tmp_path, reason):
    cells, detail = BAD[reason]
    name = "good" if reason == "duplicate id" else "bad"
    text = f"id,sequence,structure\ngood,ACGU,....\n{name},{cells}\nlast,GCAAAGC,((...))\n"
    with pytest.raises(BadInput) as refused:
        read(tmp_path, "a.csv", text)
    message = str(refused.value)
    assert f"a.csv: line 3 ({name}): {reason}: " in message and detail in message
    assert "bad_rows=drop" in message
    found = read(tmp_path, "a.csv", text, "drop")
    assert [r.id for r in found.records] == ["good", "last"]
    assert found.reasons == {reason: 1}
    assert (found.bad[0].line, found.bad[0].id) == (3, name)


@pytest.mark.parametrize("pair", ["[0, 5]", "[1, 8]", "[3, 3]", "[-1, 2]"])
def test_a_pair_out_of_range_is_refused(tmp_path, pair):
    text = f'id,sequence,base_pairs\na,GGAAACC,"[[1, 7], {pair}]"\n'
    i, j = json.loads(pair)
    with pytest.raises(BadInput, match=rf"pair out of range: {i}-{j} in a sequence of 7"):
        read(tmp_path, "a.csv", text)


@pytest.mark.parametrize(
    "cell", ["[[1, 7, 3]]", "[[1.5, 7]]", "7", "[1, 7]", "((1, 7))", "[[true, 7]]"]
)
def test_base_pairs_that_are_no_list_of_pairs_are_refused(tmp_path, cell):
    with pytest.raises(BadInput, match="broken record: base_pairs: "):
        read(tmp_path, "a.csv", f'id,sequence,base_pairs\na,GGAAACC,"{cell}"\n')


def test_an_unknown_partition_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"unknown partition: 'holdout' \(expected one of TR0"):
        read(tmp_path, "a.csv", "sequence,partition\nACGU,holdout\n")


def test_if_every_record_is_bad_nothing_is_left(tmp_path):
    with pytest.raises(BadInput, match="no record to use in 1 files: all 2 records are bad"):
        read(tmp_path, "a.csv", "sequence\nXX\nYY\n", "drop")


def test_all_reasons_are_in_the_vocabulary():
    names = {value for name, value in vars(raw).items() if name.isupper() and name != "REASONS"}
    assert names == set(raw.REASONS)


# --- dot-bracket and FASTA ------------------------------------------------------------------------


def test_dot_bracket_files(tmp_path):
    text = (
        ">a first\nGGAAACC\n((...)) (-1.20)\n\n"
        "#Name: b\n#Length: 4\nACGU\n....\n"
        ">\r\nGGTTTCC\r\n((...))\r\n"
    )
    assert said(read(tmp_path, "x.dbn", text).records) == [
        ("a", "GGAAACC", [[0, 6], [1, 5]]),
        ("b", "ACGU", []),
        ("x:9", "GGUUUCC", [[0, 6], [1, 5]]),
    ]
    bare = "GGAAACC\n((...))\nACGU\n....\n"
    assert [r.id for r in read(tmp_path, "y.db.gz", bare).records] == ["y:1", "y:3"]


def test_a_dot_bracket_record_of_other_than_two_lines_is_refused(tmp_path):
    text = ">a\nGGAAACC\n>b\nACGU\n....\n>c\nACGU\n....\n....\n"
    with pytest.raises(BadInput, match=r"line 1 \(a\): broken record: 1 lines \(expected two"):
        read(tmp_path, "x.dbn", text)
    found = read(tmp_path, "x.dbn", text, "drop")
    assert [r.id for r in found.records] == ["b"] and found.reasons == {"broken record": 2}


def test_fasta_has_no_structures(tmp_path):
    text = ">a some words\nACGU\nacgt\n>b\nGGG\n>\nAAA\n"
    assert said(read(tmp_path, "x.fa", text).records) == [
        ("a", "ACGUACGU", None),
        ("b", "GGG", None),
        ("x:6", "AAA", None),
    ]
    with pytest.raises(BadInput, match="line 1: broken record: 'ACGU' before the first header"):
        read(tmp_path, "y.fasta", "ACGU\n>a\nACGU\n")
    with pytest.raises(BadInput, match=r"line 1 \(a\): empty sequence"):
        read(tmp_path, "z.fasta", ">a\n>b\nACGU\n")


# --- CT and BPSEQ ---------------------------------------------------------------------------------

CT = """# a comment
7\tENERGY = -1.2  tRNA of yeast
1 G 0 2 7 1
2 G 1 3 6 2
3 a 2 4 0 3
4 A 3 5 0 4
5 A 4 6 0 5
6 C 5 7 2 6
7 C 6 0 1 7
2 second
1 A 0 2 0 1
2 T 1 0 0 2
"""


def test_ct_tables_one_after_the_other(tmp_path):
    assert said(read(tmp_path, "x.ct", CT).records) == [
        ("tRNA of yeast", "GGAAACC", [[0, 6], [1, 5]]),
        ("second", "AU", []),
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7 C 6 0 1 7", "7 C 6 0 2 7", "base 1 names 7 as its partner, 7 names 2"),
        ("7 C 6 0 1 7", "7 C 6 0 9 7", "base 1 names 7|7-9 in a sequence of 7"),
        ("3 a 2 4 0 3", "3 a 2 4 3 3", "base 3 names 3 as its partner"),
        ("3 a 2 4 0 3", "4 a 2 4 0 3", r"line 5: '4 a 2 4 0 3' \(expected base 3 of 7"),
        ("3 a 2 4 0 3", "3 a 2", "line 5: '3 a 2'"),
        ("2 T 1 0 0 2\n", "", r"\(second\): broken record: the file ends"),
        ("7\tENERGY", "seven ENERGY", "'seven ENERGY = -1.2 tRNA of yeast'"),
    ],
)
def test_unsound_ct_tables_are_refused(tmp_path, old, new, message):
    assert old in CT
    with pytest.raises(BadInput, match=message):
        read(tmp_path, "x.ct", CT.replace(old, new))


def test_bpseq_with_and_without_headers(tmp_path):
    bases = "1 G 7\n2 G 6\n3 A 0\n4 A 0\n5 A 0\n6 C 2\n7 C 1\n"
    for name, head in (("x.bpseq", ""), ("y.bpseq", "Filename: y\nOrganism: z\n# w\n")):
        [record] = read(tmp_path, name, head + bases).records
        assert said([record]) == [(name[0], "GGAAACC", [[0, 6], [1, 5]])]
    with pytest.raises(BadInput, match=r"line 3: '3 A' \(expected base 3: number base partner"):
        read(tmp_path, "z.bpseq", bases.replace("3 A 0", "3 A"))
    with pytest.raises(BadInput, match="empty sequence"):
        read(tmp_path, "e.bpseq", "# nothing\n")


# --- round trips ----------------------------------------------------------------------------------


@st.composite
def some_records(draw):
    sequence = draw(st.text("ACGUN", min_size=1, max_size=30))
    places = st.integers(0, len(sequence) - 1)
    pairs, used = [], set()
    for i, j in draw(st.lists(st.tuples(places, places).map(sorted), max_size=12)):
        if i < j and not {i, j} & used:
            pairs.append((i, j))
            used |= {i, j}
    return RnaRecord("x", sequence, sorted_pairs(pairs))


FORMATS = {
    "x.dbn": (write_dot_bracket, read_dot_bracket),
    "x.ct": (write_ct, read_ct),
    "x.bpseq": (write_bpseq, read_bpseq),
}


@pytest.mark.parametrize("name", FORMATS)
@given(record=some_records())
def test_written_and_read_again(tmp_path_factory, name, record):
    write, reader = FORMATS[name]
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(write(record))
    [back] = [sound(row) for row in reader(path)]
    assert said([back]) == said([record])


@pytest.mark.parametrize("write", [write_dot_bracket, write_ct, write_bpseq])
def test_what_a_format_cannot_say_is_not_written(write):
    with pytest.raises(ValueError, match="not known"):
        write(RnaRecord("a", "ACGU", None))
    several = RnaRecord("a", "GGAAACC", np.array([[0, 6], [1, 4], [1, 5]], np.int32))
    with pytest.raises(ValueError, match="several partners"):
        write(several)


def test_the_same_records_from_every_format(tmp_path):
    record = RnaRecord("x", "GGAAACCAGGAAACC", pairs_of("((...)).((...))"))
    for name, (write, _) in FORMATS.items():
        assert said(read(tmp_path, name, write(record)).records) == said([record])
        assert said(read(tmp_path, name + ".gz", write(record)).records) == said([record])
    with open(tmp_path / "x.csv", "w", newline="") as file:
        csv.writer(file).writerows(
            [["id", "sequence", "structure"], ["x", record.sequence, "((...)).((...))"]]
        )
    assert said(read_files([tmp_path / "x.csv"], "refuse").records) == said([record])


# --- files ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    for name in ("b.csv", "a.DBN.gz", "deep/c.ct", "notes.txt", ".d.csv", "deep/.hidden/e.csv"):
        (tmp_path / name).write_text("")
    return tmp_path


def names(found):
    return [path.name for path in found.paths], sorted(path.name for path in found.ignored)


def test_inputs_are_a_file_a_folder_a_glob_or_a_list(folder):
    assert names(find_inputs(f"{folder}/b.csv")) == (["b.csv"], [])
    assert names(find_inputs(f"{folder}")) == (
        ["a.DBN.gz", "b.csv", "c.ct"],
        [".d.csv", "notes.txt"],
    )
    assert names(find_inputs(f"{folder}/*.c*")) == (["b.csv"], [])
    assert names(find_inputs(f"{folder}/deep, {folder}/b.csv,{folder}/deep/c.ct")) == (
        ["c.ct", "b.csv"],
        [],
    )
    (folder / "b,csv").mkdir()
    (folder / "b,csv" / "z.fa").write_text("")
    assert names(find_inputs(f"{folder}/b,csv")) == (["z.fa"], [])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("nowhere.csv", "no such file or folder"),
        ("notes.txt", "expected a name that ends in .csv"),
        ("*.txt", "no file to read.*1 files of another kind"),
        (",", "no file to read"),
    ],
)
def test_inputs_without_anything_to_read_are_refused(folder, monkeypatch, inputs, message):
    monkeypatch.chdir(folder)
    with pytest.raises(BadInput, match=message):
        find_inputs(inputs)


@pytest.mark.parametrize("damage", ["truncated", "plain"])
def test_damaged_gzip_is_refused(tmp_path, damage):
    path = tmp_path / "a.fa.gz"
    whole = gzip.compress(b">a\nACGU\n" * 99)
    path.write_bytes(whole[:-9] if damage == "truncated" else b">a\nACGU\n")
    with pytest.raises(BadInput, match="a.fa.gz: cannot be read"):
        read_files([path], "drop")
