import errno
import os

import pytest

from priorwise.errors import BadInput
from priorwise.learn.history_file import read_rows, write_rows
from priorwise.learn.recorder import CsvHistory, NullRecorder


def test_epochs_redone_replace_what_was_written(tmp_path):
    history = CsvHistory(tmp_path / "deep" / "history.csv")
    for epoch in range(3):
        history.epoch({"a": epoch / 3}, epoch)
    history.epoch({"a": 7, "b": 0.1}, 1)
    assert history.rows() == [
        {"epoch": "0", "a": "0.0", "b": ""},
        {"epoch": "1", "a": "7.0", "b": "0.1"},
    ]
    assert history.path.read_bytes() == b"epoch,a,b\r\n0,0.0,\r\n1,7.0,0.1\r\n"
    assert os.listdir(history.path.parent) == ["history.csv"]


def test_nothing_recorded(tmp_path):
    assert CsvHistory(tmp_path / "none.csv").rows() == []
    NullRecorder().epoch({"a": 1.0}, 0)


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "history.csv"
    write_rows(path, ["epoch"], [{"epoch": 0}])

    def rows():
        yield {"epoch": 1}
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(path, ["epoch"], rows())
    assert path.read_text() == "epoch\n0\n"


def test_a_disk_that_is_full_is_named_and_the_file_before_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    write_rows(path, ["epoch"], [{"epoch": 0}])

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(BadInput, match=r"history\.csv: cannot be written \(No space left"):
        write_rows(path, ["epoch"], [{"epoch": 1}])
    assert path.read_text() == "epoch\n0\n" and os.listdir(tmp_path) == ["history.csv"]


def test_a_file_cut_at_any_byte_never_gives_a_wrong_number(tmp_path):
    whole, path = tmp_path / "whole.csv", tmp_path / "cut.csv"
    write_rows(whole, ["epoch", "a", "b"], [{"epoch": i, "a": 10.5 + i, "b": ""} for i in range(4)])
    expected, content = read_rows(whole), whole.read_bytes()
    header = content.index(b"\n") + 1
    for cut in range(header, len(content) + 1):
        path.write_bytes(content[:cut])
        found = read_rows(path)
        assert found.rows == expected.rows[: len(found.rows)]
        ends = [i for i in range(header, cut) if content[i : i + 1] in (b"\r", b"\n")]
        assert len(found.rows) == len({content[:i].count(b"\n") for i in ends})
        assert bool(found.dropped) == (content[cut - 1 : cut] not in (b"\r", b"\n"))
        assert found.dropped in ("", f"{path}: the last line is incomplete and is left out")


def test_a_header_alone_or_a_file_of_another_make(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,a")
    assert (read_rows(path).columns, read_rows(path).rows) == (["epoch", "a"], [])
    path.write_bytes(b"\xef\xbb\xbfepoch, a\r\n\r\n0,1\r\n")  # byte order mark, blanks
    found = read_rows(path)
    assert (found.columns, found.rows, found.lines) == (
        ["epoch", "a"],
        [{"epoch": "0", "a": "1"}],
        [3],
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (expected a CSV file with a header)"),
        (b"epoch,a\n0,1\n1\n2,3\n", "line 3 has 1 fields (expected 2, as in the first line)"),
        (b"epoch,a\n0,1,2\n", "line 2 has 3 fields"),
        (b"epoch,epoch\n0,1\n", "two columns have the same name"),
        (b"\xff\xfe\x00", "is not a CSV file"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, said):
    path = tmp_path / "history.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}: ") and said in str(caught.value)


def test_what_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(BadInput, match=r"cannot be read \(.+\)"):
            read_rows(path)


def test_numbers_and_epochs(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,a\n0,0.5\n1,\n2,inf\n")
    file = read_rows(path)
    assert file.epochs() == [0, 1, 2]
    assert str(file.numbers("a")) == "[0.5, nan, inf]"
    file.require(["a", "epoch"])
    with pytest.raises(BadInput, match=r"column b, c is missing \(found epoch, a\)"):
        file.require(["a", "b", "c"])
    for text, column in (("0,x", "a"), ("x,1", "epoch"), ("1.5,1", "epoch"), (",1", "epoch")):
        path.write_text(f"epoch,a\n0,1\n{text}\n")
        with pytest.raises(BadInput, match=f"line 3, column {column}: expected a"):
            file = read_rows(path)
            assert file.epochs() and file.numbers("a")
