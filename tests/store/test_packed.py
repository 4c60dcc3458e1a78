import os
import socket

import numpy as np
import pytest

from priorwise.errors import BadInput
from priorwise.store.packed import HEADER, is_packed, open_packed, pack


def chunks():
    rng = np.random.default_rng(0)
    for n in (3, 0, 5):
        yield {"peaks": rng.random(2 * n, np.float32), "settings": rng.random((n, 4))}


def whole():
    parts = list(chunks())
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_arrays_come_back_as_they_were(tmp_path):
    arrays = open_packed(pack(tmp_path / "key", chunks()))
    for name, expected in whole().items():
        np.testing.assert_array_equal(arrays[name], expected, strict=True)
    arrays["peaks"][0] = 7  # a private copy: the file is as it was
    np.testing.assert_array_equal(open_packed(tmp_path / "key")["peaks"], whole()["peaks"])


def test_a_pack_is_made_once(tmp_path):
    pack(tmp_path / "key", chunks())

    def never():
        raise AssertionError("read again")
        yield {}

    assert pack(tmp_path / "key", never()) == tmp_path / "key"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_an_empty_array_comes_back(tmp_path):
    arrays = open_packed(pack(tmp_path / "key", iter([{"none": np.empty((0, 3), np.float32)}])))
    assert arrays["none"].shape == (0, 3) and arrays["none"].dtype == np.float32


@pytest.mark.parametrize("damage", ["header", "shorter", "longer", "gone", "no json"])
def test_a_damaged_pack_is_made_anew(tmp_path, damage):
    folder = pack(tmp_path / "key", chunks())
    peaks = folder / "peaks.bin"
    if damage == "header":
        (folder / HEADER).unlink()
    elif damage == "no json":
        (folder / HEADER).write_text("[1")
    elif damage == "gone":
        peaks.unlink()
    else:
        data = peaks.read_bytes()
        peaks.write_bytes(data[:-4] if damage == "shorter" else data + b"more")
    assert not is_packed(folder)
    with pytest.raises(BadInput, match="no whole pack"):
        open_packed(folder)
    pack(folder, chunks())
    np.testing.assert_array_equal(open_packed(folder)["peaks"], whole()["peaks"])


def test_who_fails_or_was_killed_leaves_nothing(tmp_path):
    def fails():
        yield from chunks()
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        pack(tmp_path / "key", fails())
    assert list(tmp_path.iterdir()) == []

    gone = 2**22 + 1  # beyond the largest process id
    here = socket.gethostname()
    kept = [f".partial-{here}-{os.getppid()}-abc", f".partial-of-another-host-{gone}-abc"]
    for name in [f".partial-{here}-{gone}-abc", *kept]:  # the first one's owner is no more
        (tmp_path / name).mkdir()
    pack(tmp_path / "key", chunks())
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "key"}


def test_somebody_quicker_is_no_error(tmp_path):
    def slow():
        yield from chunks()
        pack(tmp_path / "key", chunks())

    pack(tmp_path / "key", slow())
    np.testing.assert_array_equal(open_packed(tmp_path / "key")["peaks"], whole()["peaks"])


def test_chunks_of_another_type_are_refused(tmp_path):
    def mixed():
        yield {"peaks": np.zeros(3, np.float32)}
        yield {"peaks": np.zeros(3, np.float64)}

    with pytest.raises(ValueError, match="peaks"):
        pack(tmp_path / "key", mixed())


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="file/key: cannot be written"):
        pack(tmp_path / "file" / "key", chunks())
