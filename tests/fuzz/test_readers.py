"""Every reader of outside bytes, on spoilt files: a refusal of one line, or a sane answer.

A small cut of `make fuzz` (tests/fuzz/run.py), and what that found, case by case.
"""

import shutil

import lance
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz.cases import READ, REFUSED, emptied, numbered, outcome, written
from tests.fuzz.mutations import AMOUNTS, KINDS, Operation
from tests.fuzz.readers import CT, MSP, READERS

from priorwise.errors import BadInput
from priorwise.rna.formats.read import read_files
from priorwise.spectra.ingest.inputs import assign_tables
from priorwise.spectra.ingest.library_formats import iter_entries
from priorwise.store.probes import orphan_bytes
from priorwise.store.tables import open_pinned, scan, table_exists

OPERATIONS = st.lists(
    st.builds(
        Operation,
        st.sampled_from(KINDS),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(AMOUNTS),
        st.integers(0, (1 << 16) - 1),
    ),
    min_size=1,
    max_size=4,
)
#: slow readers get fewer
CASES = {"Lance folder": 40, "Thermo RAW": 40}


@pytest.mark.parametrize("name", READERS)
def test_a_sound_file_is_read(tmp_path, name):
    """The samples are sound: what follows is not refused for another reason."""
    reader = READERS[name]
    if reader.folder is not None:
        reader.folder(tmp_path)
        assert outcome(reader, tmp_path) == READ
        return
    for sample, data in reader.samples().items():
        path = tmp_path / sample
        path.write_bytes(data)
        expected = REFUSED if name == "Thermo RAW" and not _has_reader(sample) else READ
        assert outcome(reader, path) == expected, sample


def _has_reader(sample: str) -> bool:
    try:
        import opentfraw  # noqa: F401
    except ImportError:
        return False
    return sample.startswith("sample")


@pytest.mark.parametrize("name", READERS)
def test_a_spoilt_file_is_refused_or_read(tmp_path, name):
    reader = READERS[name]

    @settings(
        max_examples=CASES.get(name, 100),
        deadline=10_000,  # milliseconds: the bound of `make fuzz`, too
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(
        which=st.integers(0, 1 << 20),
        operations=OPERATIONS,
        how=st.sampled_from([0.25, 0.75]),
    )
    def spoilt(which, operations, how):
        folder = emptied(tmp_path / "case")
        assert outcome(reader, written(reader, which, operations, how, folder)) in (READ, REFUSED)

    spoilt()


def test_a_numbered_case_is_always_the_same(tmp_path):
    reader = READERS["CSV of RNA"]
    found = {
        numbered(reader, "CSV of RNA", 17, emptied(tmp_path / str(i))).read_bytes() for i in (1, 2)
    }
    assert len(found) == 1


def test_the_search_can_find(tmp_path):
    """A reader that lets anything but `BadInput` through is a finding."""
    from tests.fuzz.readers import Reader

    def careless(path):
        path.read_bytes().decode("ascii")

    def wordy(path):
        raise BadInput("two\nlines")

    reader = READERS["FASTA"]
    for read, error in ((careless, UnicodeDecodeError), (wordy, AssertionError)):
        with pytest.raises(error):
            for number in range(200):
                path = numbered(reader, "x", number, emptied(tmp_path / "case"))
                outcome(Reader(read, reader.samples), path)


# --- what was found -------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    rows = pa.table({"a": list(range(100))})
    lance.write_dataset(rows, str(tmp_path / "t"))
    return tmp_path / "t"


def test_a_damaged_manifest_makes_lance_panic_and_is_refused(table):
    """Lance 14 panics on a length in a manifest: no `Exception`, so no handler saw it."""
    (manifest,) = (table / "_versions").glob("*.manifest")
    data = manifest.read_bytes()
    panics = 0
    at = int.from_bytes(data[-16:-8], "little")  # where the length of the message stands
    for length in (len(data), 2**31, 2**32 - 1):
        manifest.write_bytes(data[:at] + length.to_bytes(4, "little") + data[at + 4 :])
        try:
            lance.dataset(str(table))
        except BaseException as error:
            panics += type(error).__name__ == "PanicException"
        with pytest.raises(BadInput, match="cannot open newest version"):
            list(scan(open_pinned(str(table))))
        assert not table_exists(str(table))
        assert orphan_bytes(str(table.parent))[0] == 0
    assert panics, "Lance does not panic any more: `store.damage` may forget it"


def test_a_manifest_that_is_damaged_where_opening_does_not_look(tmp_path):
    """The table opens; the list of its versions does not."""
    reader = READERS["Lance folder"]
    how = [Operation("repeat", 0.5, 1000, 1)]
    assert outcome(reader, written(reader, 1, how, 0.25, tmp_path)) == REFUSED


def test_a_damaged_fragment_is_refused(table):
    (fragment,) = (table / "data").glob("*.lance")
    data = fragment.read_bytes()
    for spoilt in (data[: len(data) // 2], data[:-1], b"", bytes(len(data))):
        fragment.write_bytes(spoilt)
        with pytest.raises(BadInput, match="cannot be read whole"):
            list(scan(open_pinned(str(table))))
    shutil.rmtree(table / "data")
    with pytest.raises(BadInput, match="cannot be read whole"):
        list(scan(open_pinned(str(table))))


@pytest.mark.parametrize(
    "text",
    [
        "9" * 5000 + " name\n1 G 0 2 0 1\n",
        CT.replace(" 7 1", " " + "9" * 5000 + " 1", 1),
    ],
)
def test_an_endless_number_in_a_ct_file(tmp_path, text):
    (tmp_path / "a.ct").write_text(text)
    with pytest.raises(BadInput):
        read_files([tmp_path / "a.ct"], "refuse")


def test_an_endless_number_in_a_bpseq_file(tmp_path):
    (tmp_path / "a.bpseq").write_text("1 G " + "9" * 5000 + "\n")
    with pytest.raises(BadInput):
        read_files([tmp_path / "a.bpseq"], "refuse")


def test_an_endless_number_in_an_msp_file(tmp_path):
    (tmp_path / "a.msp").write_text(MSP.replace("Num Peaks: 3", "Num Peaks: " + "9" * 5000))
    with pytest.raises(BadInput):
        list(iter_entries(tmp_path / "a.msp"))


@pytest.mark.parametrize(("name", "text"), [("a.csv", "id" + ",x" * 5000), ("a.csv", "x" * 9000)])
def test_a_refusal_stays_short(tmp_path, name, text):
    (tmp_path / name).write_text(text + "\n1\n")
    for read in (
        lambda: read_files([tmp_path / name], "refuse"),
        lambda: READERS["CSV of metrics"].read(tmp_path / name),
    ):
        with pytest.raises(BadInput) as caught:
            read()
        assert len(str(caught.value)) < 1500


def test_a_split_that_is_named_at_length(tmp_path):
    (tmp_path / "s.csv").write_text("file,split\na.mzML," + "x" * 9000 + "\n")
    with pytest.raises(BadInput) as caught:
        assign_tables((tmp_path / "a.mzML",), tmp_path / "s.csv")
    assert len(str(caught.value)) < 1000


def test_a_cell_with_line_breaks_is_refused_in_one_line(tmp_path):
    """Cases 211 and 623 of the CSV of RNA: the id of a broken record went into the message."""
    (tmp_path / "a.csv").write_text('id,sequence,structure\n"a\nb",GGAAACC,((\n')
    with pytest.raises(BadInput) as caught:
        read_files([tmp_path / "a.csv"], "refuse")
    assert "\n" not in str(caught.value) and "(a b)" in str(caught.value)
