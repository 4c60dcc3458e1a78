"""Damage to a table's files is noticed before its rows are used."""

import os
import random
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import lance
import pyarrow as pa
import pytest
from tests.test_durable import HERE

from priorwise.errors import BadInput
from priorwise.store import file_digests
from priorwise.store.file_digests import LIST
from priorwise.store.orphans import orphans
from priorwise.store.protection import protected, protections
from priorwise.store.shared import Sharing
from priorwise.store.table_check import check_content, check_files
from priorwise.store.tables import (
    STAGING,
    ContentDigest,
    open_pinned,
    scan,
    write_shared_table,
    write_table,
)

SCHEMA = pa.schema([("id", pa.int64()), ("mz", pa.list_(pa.float32()))])
N_FLIPS = 5


def rows(first=0, n=120):
    ids = list(range(first, first + n))
    peaks = [[k + j / 8 for j in range(k % 5 + 1)] for k in ids]
    return pa.record_batch([pa.array(ids), pa.array(peaks, SCHEMA.field("mz").type)], schema=SCHEMA)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """A table of four files that the project wrote."""
    monkeypatch.chdir(tmp_path)
    uri = tmp_path / "table"
    write_table(str(uri), SCHEMA, [rows()], rows_per_file=30)
    return uri


def flip(path, at, bit=1):
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)


def damaged(uri, **how):
    """What a check says of a damaged table."""
    with pytest.raises(BadInput) as said:
        check_files(open_pinned(str(uri)), **how)
    return str(said.value)


def digest_of(pinned):
    whole = ContentDigest(pinned.schema)
    for batch in scan(pinned):
        whole.update(batch)
    return whole.hexdigest()


def test_a_sound_table_is_compared_whole(table):
    files = [path for path in table.rglob("*") if path.is_file()]
    listed = (table / LIST).read_text().splitlines()
    assert len(listed) == 1 + len(files) - sum(p.name in file_digests.NOT_LISTED for p in files)
    # all that is listed, the manifests too; the last line is the list's own digest
    assert len(check_files(open_pinned(str(table))).sound) == len(listed) - 1
    done = subprocess.run(["sha256sum", "-c", "--strict", LIST], cwd=table, check=False)
    assert done.returncode == 0


def test_flips_anywhere_are_noticed(table, tmp_path):
    """In data, manifest or transaction: each says which file."""
    draw = random.Random(3)
    files = sorted(
        path.relative_to(table)
        for path in table.rglob("*")
        if path.is_file() and path.name not in file_digests.NOT_LISTED
    )
    for n, name in enumerate(files * 2):
        copy = tmp_path / f"copy{n}"
        shutil.copytree(table, copy)
        flip(copy / name, draw.randrange(1 << 20), draw.randrange(8))
        said = damaged(copy)
        assert str(copy / name) in said and "damaged" in said
    assert len(files) >= 6


def test_a_flip_in_the_list_itself_is_noticed(table):
    for at in (3, 70, 200, -1, -70):
        copy = table.with_name(f"copy{at}")
        shutil.copytree(table, copy)
        flip(copy / LIST, at, 0)
        said = damaged(copy)
        assert f"{copy / LIST}: " in said


def test_truncated_and_missing_files_are_named(table):
    first, second, *_ = sorted((table / "data").iterdir())
    content = first.read_bytes()
    first.write_bytes(content[:-7])
    assert f"{first}: has {len(content) - 7} bytes instead of {len(content)}" in damaged(table)
    first.write_bytes(content)
    second.unlink()
    assert damaged(table) == f"{second}: is missing (version 1 of the table needs it)"


@pytest.mark.parametrize("how", ["truncated", "missing"])
def test_also_of_a_table_that_others_wrote(table, how):
    (table / LIST).unlink()
    first = min((table / "data").iterdir())
    if how == "missing":
        first.unlink()
    else:
        first.write_bytes(first.read_bytes()[:-1])
    assert str(first) in damaged(table)


def test_of_a_foreign_table_a_flip_is_noticed_when_its_rows_are_read_again(table):
    (table / LIST).unlink()
    pinned = open_pinned(str(table))
    found = check_files(pinned)
    assert not found.sound and found.unknown
    check_content(pinned, digest_of(pinned))
    check_content(pinned, digest_of(pinned))
    first = min((table / "data").iterdir())
    content = first.read_bytes()
    for at in range(len(content)):  # the first byte that is one of a value
        flip(first, at)
        now = open_pinned(str(table))
        try:
            digest = digest_of(now)
        except BadInput:
            digest = None
        if digest not in (None, digest_of_sound(pinned, content, first)):
            break
        first.write_bytes(content)
    with pytest.raises(BadInput, match="has other rows .* than when it was first read"):
        check_content(now, digest)


def digest_of_sound(pinned, content, path):
    spoiled = path.read_bytes()
    path.write_bytes(content)
    try:
        return digest_of(open_pinned(pinned.uri))
    finally:
        path.write_bytes(spoiled)


def test_what_was_right_is_not_read_again(table, monkeypatch):
    check_files(open_pinned(str(table)))
    read, original = [], file_digests.file_sha256

    def file_sha256(path):
        read.append(path)
        return original(path)

    monkeypatch.setattr(file_digests, "file_sha256", file_sha256)
    pinned = open_pinned(str(table))
    read.clear()  # the manifest is read before Lance reads it
    listed = len((table / LIST).read_text().splitlines()) - 1
    assert len(check_files(pinned).sound) == listed and not read
    assert len(check_files(pinned, full=True).sound) == listed and len(read) == listed
    first = min((table / "data").iterdir())
    read.clear()
    os.utime(first)  # another time: looked at again
    assert len(check_files(pinned).sound) == listed and read == [first]


def test_only_a_full_check_sees_a_flip_that_hides(table):
    """One that leaves size, time and inode as they were: a disk that forgets."""
    check_files(open_pinned(str(table)))
    first = min((table / "data").iterdir())
    was = first.stat()
    with first.open("r+b") as stream:
        stream.seek(40)
        byte = stream.read(1)
        stream.seek(40)
        stream.write(bytes([byte[0] ^ 1]))
    os.utime(first, ns=(was.st_atime_ns, was.st_mtime_ns))
    check_files(open_pinned(str(table)))
    assert str(first) in damaged(table, full=True)


@pytest.mark.parametrize("content", ["", "{", '{"files": 3}', '{"files": {}, "contents": []}'])
def test_a_damaged_note_of_what_was_right_is_made_anew(table, content):
    check_files(open_pinned(str(table)))
    (note,) = file_digests.CHECKED.iterdir()
    note.write_text(content)
    assert check_files(open_pinned(str(table))).sound
    flip(min((table / "data").iterdir()), 40)
    assert "damaged" in damaged(table)


def test_later_versions_and_what_a_clean_up_removed_are_no_damage(table):
    lance.write_dataset(pa.Table.from_batches([rows(120, 10)]), str(table), mode="append")
    pinned = open_pinned(str(table))
    assert pinned.version == 2 and check_files(pinned).sound
    dataset = lance.dataset(str(table))
    dataset.delete("id < 7")
    check_files(open_pinned(str(table)))
    dataset = lance.dataset(str(table))
    dataset.optimize.compact_files()
    dataset.cleanup_old_versions(older_than=timedelta(0), delete_unverified=True)
    check_files(open_pinned(str(table)))
    deleted = open_pinned(str(table))
    assert deleted.n_rows == 123


def test_a_deletion_file_that_is_missing_is_named(table):
    lance.dataset(str(table)).delete("id < 7")
    (deleted,) = (table / "_deletions").iterdir()
    deleted.unlink()
    assert str(deleted) in damaged(table)


def test_shared_columns_are_checked_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sharing = Sharing(("mz",), "mz_row", "_peaks")
    write_shared_table(str(tmp_path / "t"), SCHEMA, lambda: [rows()], sharing, 40)
    assert len(check_files(open_pinned(str(tmp_path / "t"))).sound) >= 6
    other = max((tmp_path / "t_peaks" / "data").iterdir())
    flip(other, 30)
    assert str(other) in damaged(tmp_path / "t")


# --- versions -------------------------------------------------------------------------------------


def renew(uri):
    """Append, compact, and clean up every old version."""
    lance.write_dataset(pa.Table.from_batches([rows(120, 10)]), str(uri), mode="append")
    dataset = lance.dataset(str(uri))
    dataset.optimize.compact_files()
    dataset.cleanup_old_versions(
        older_than=timedelta(0), delete_unverified=True, error_if_tagged_old_versions=False
    )


def test_a_protected_version_survives_a_clean_up(table):
    pinned = open_pinned(str(table))
    before = digest_of(pinned)
    with protected([(pinned.uri, 1)], "run1", pytest.fail):
        assert protections(str(table)) == {"run1": 1}
        with protected([(pinned.uri, 1)], "run2", pytest.fail):
            renew(table)
        assert protections(str(table)) == {"run1": 1}
        assert digest_of(open_pinned(str(table), 1)) == before
    assert protections(str(table)) == {}
    renew(table)
    with pytest.raises(BadInput, match="cannot open version 1 of the table"):
        open_pinned(str(table), 1)
    with (
        pytest.raises(BadInput, match="cannot open version 1 of the table"),
        protected([(str(table), 1)], "run1", pytest.fail),
    ):
        pytest.fail("was let in")


def test_what_ended_badly_keeps_its_version_until_it_ended_well(table):
    with pytest.raises(KeyError), protected([(str(table), 1)], "run1", pytest.fail):
        raise KeyError
    renew(table)
    assert protections(str(table)) == {"run1": 1}
    with protected([(str(table), 1)], "run1", pytest.fail):
        assert open_pinned(str(table), 1).n_rows == 120
    assert protections(str(table)) == {}


def test_a_table_that_cannot_be_tagged_is_told(table, monkeypatch):
    said = []
    (table / "_refs").write_text("in the way")
    with protected([(str(table), 1)], "run1", said.append):
        pass
    assert len(said) == 1 and "version 1 cannot be protected" in said[0]


# --- what the killed leave ------------------------------------------------------------------------


def test_orphans_are_ignored_and_listed_with_their_bytes(table):
    assert orphans(str(table)) == []
    lance.write_dataset(pa.Table.from_batches([rows(120, 10)]), str(table), mode="append")
    assert orphans(str(table)) == []
    left = table / "data" / "0123.lance"
    left.write_bytes(bytes(1234))
    beside = table.parent / f"{STAGING}{table.name}-0a1b2c3d" / "data"
    beside.mkdir(parents=True)
    (beside / "x.lance").write_bytes(bytes(77))
    other = table.parent / f"{STAGING}others-0a1b2c3d"
    other.mkdir()
    found = orphans(str(table))
    assert [(Path(o.path), o.n_bytes) for o in found] == sorted([(left, 1234), (beside.parent, 77)])
    assert open_pinned(str(table)).n_rows == 130 and check_files(open_pinned(str(table)))


def test_a_writer_that_is_killed_leaves_no_table(tmp_path):
    code = f"""
import os, signal
import pyarrow as pa
from priorwise.store.tables import write_table
schema = pa.schema([("x", pa.int64())])
def batches():
    for k in range(40):
        if k == 39:
            os.kill(os.getpid(), signal.SIGKILL)
        yield pa.record_batch([pa.array(range(5000))], schema=schema)
write_table({str(tmp_path / "table")!r}, schema, batches(), rows_per_file=10_000)
"""
    done = subprocess.run([sys.executable, "-c", code], env=HERE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "table").exists()
    (left,) = tmp_path.glob(f"{STAGING}table-*")
    n_bytes = sum(path.stat().st_size for path in left.rglob("*") if path.is_file())
    assert n_bytes > 10_000
    write_table(str(tmp_path / "table"), SCHEMA, [rows()])
    assert open_pinned(str(tmp_path / "table")).n_rows == 120
    assert [(o.path, o.n_bytes) for o in orphans(str(tmp_path / "table"))] == [(left, n_bytes)]


def test_rows_by_position_stay_the_same_after_others_are_deleted(table):
    pinned = open_pinned(str(table))
    dataset = lance.dataset(str(table))
    dataset.delete("id < 50")
    dataset = lance.dataset(str(table))
    dataset.optimize.compact_files()
    (batch,) = scan(pinned, ["id"], first=60, end=61)
    assert batch.column("id").to_pylist() == [60]
    (batch,) = scan(open_pinned(str(table), 1), ["id"], first=60, end=61)
    assert batch.column("id").to_pylist() == [60]


@pytest.mark.parametrize("name", ["/dev/zero", "../../etc/passwd", "_versions/../../x"])
def test_a_list_that_names_files_elsewhere_is_refused(table, name):
    """It would be read, without end if it is a device."""
    lines = (table / LIST).read_text().rpartition(file_digests.END)[0] + f"{'0' * 64}  {name}\n"
    (table / LIST).write_text(f"{lines}{file_digests.END}{file_digests._of(lines)}\n")
    with pytest.raises(BadInput, match="which is not in the table"):
        open_pinned(str(table))


def test_a_pipe_in_place_of_a_file_is_not_waited_for(table):
    path = min((table / "data").iterdir())
    content = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    pinned = open_pinned(str(table))
    with pytest.raises(BadInput, match=f"{path.name}: "):
        check_files(pinned)
    path.unlink()
    path.write_bytes(content)
    assert check_files(pinned).sound


def test_a_newest_manifest_that_is_lost_is_missed(table):
    lance.write_dataset(pa.Table.from_batches([rows(500)]), str(table), mode="append")
    newest = open_pinned(str(table)).version
    path = table / "_versions" / f"{2**64 - 1 - newest}.manifest"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(BadInput, match=f"the manifest of version {newest} is missing"):
        open_pinned(str(table))
    assert open_pinned(str(table), 1).version == 1
    path.write_bytes(content)
    assert open_pinned(str(table)).version == newest


def test_tags_that_cannot_be_read(table):
    lance.dataset(str(table)).tags.create("priorwise-abc", 1)
    (table / "_refs/tags/priorwise-abc.json").write_text("garbage")
    with pytest.raises(BadInput, match="its tags"):
        protections(str(table))


@pytest.mark.parametrize(
    "said", ["", "{}", "[" * 900, '{"version": 1e999}', '{"version": "7"}', "7"]
)
def test_a_hint_that_is_none_is_harmless(table, said):
    """Found by `make fuzz`: a version without end."""
    (table / "_versions/latest_version_hint.json").write_text(said)
    assert open_pinned(str(table)).version == 1
