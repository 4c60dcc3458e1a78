"""A file and its digest: whoever dies in between, and whatever happens to the bytes, is noticed."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from priorwise import durable
from priorwise.durable import (
    damage,
    remove_with_digest,
    sidecar,
    write_whole,
    write_with_digest,
)
from priorwise.errors import BadInput

HERE = {**os.environ, "PYTHONPATH": str(Path(durable.__file__).parents[1])}
OLDEST, OLD, NEW = (bytes([k]) * (4000 + k) for k in range(3))


@pytest.fixture
def last(tmp_path):
    """A file that was written twice, and the one before it."""
    path = tmp_path / "last.ckpt"
    write_with_digest(path, OLDEST, tmp_path / "previous.ckpt")
    write_with_digest(path, OLD, tmp_path / "previous.ckpt")
    return path


def test_the_one_before_is_kept(last):
    assert last.read_bytes() == OLD and damage(last) is None
    previous = last.with_name("previous.ckpt")
    assert previous.read_bytes() == OLDEST and damage(previous) is None
    assert sorted(path.name for path in last.parent.iterdir()) == [
        "last.ckpt",
        "last.ckpt.sha256",
        "previous.ckpt",
        "previous.ckpt.sha256",
    ]


def test_the_digest_is_what_sha256sum_reads(last):
    done = subprocess.run(["sha256sum", "-c", sidecar(last).name], cwd=last.parent, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content[:-1] + bytes([content[-1] ^ 128]),
    ],
    ids=["empty", "truncated", "longer", "first bit", "last bit"],
)
def test_damage_is_noticed_and_says_the_size(last, change):
    last.write_bytes(change(OLD))
    assert f"{len(change(OLD))} bytes" in damage(last)


@pytest.mark.parametrize("text", [None, "", "no digest  last.ckpt\n"])
def test_without_a_digest_nothing_is_trusted(last, text):
    if text is None:
        sidecar(last).unlink()
    else:
        sidecar(last).write_text(text)
    assert "no readable digest" in damage(last)


def test_a_damaged_file_does_not_become_the_one_before(last):
    last.write_bytes(OLD[:-1])
    previous = last.with_name("previous.ckpt")
    write_with_digest(last, NEW, previous)
    assert damage(last) is None and last.read_bytes() == NEW
    assert damage(previous) is None and previous.read_bytes() == OLDEST


def test_both_are_removed(last):
    remove_with_digest(last)
    assert not last.exists() and not sidecar(last).exists()
    assert damage(last) == "no such file"
    remove_with_digest(last)


# dies before its n-th call that touches the disk
DYING = """
import os, signal, sys
from pathlib import Path
from priorwise.durable import write_with_digest

n, links, last, previous, content = sys.argv[1:]
calls = iter(range(10**6))

def armed(original):
    def called(*arguments, **named):
        if next(calls) == int(n):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    return called

def no_link(*_):
    raise OSError("no links here")

content = bytes.fromhex(content)
if links == "no links":
    os.link = no_link
for owner, names in (Path, ("open", "replace", "unlink")), (os, ("fsync", "link")):
    for name in names:
        setattr(owner, name, armed(getattr(owner, name)))
write_with_digest(Path(last), content, Path(previous))
"""


@pytest.mark.parametrize("links", ["links", "no links"])
def test_killed_at_any_point(tmp_path, links):
    """There is always a sound file, and it is one that was written."""
    for n in range(200):
        folder = tmp_path / str(n)
        last, previous = folder / "last.ckpt", folder / "previous.ckpt"
        write_with_digest(last, OLDEST, previous)
        write_with_digest(last, OLD, previous)
        words = [sys.executable, "-c", DYING, str(n), links, last, previous, NEW.hex()]
        end = subprocess.run(words, check=False, env=HERE).returncode
        if end == 0:
            break
        assert end == -signal.SIGKILL
        sound = [path.read_bytes() for path in (last, previous) if damage(path) is None]
        assert sound and set(sound) <= {OLDEST, OLD, NEW}
        if links == "links":
            assert damage(last) is None and last.read_bytes() in (OLD, NEW)
        # whoever comes next is not in the way of what is left
        write_with_digest(last, NEW, previous)
        assert last.read_bytes() == NEW and damage(last) is None
    assert n > 20


def test_a_limit_on_the_size_leaves_what_was_there(last):
    """What a full disk does, without the right to make one."""
    code = f"""
import resource, signal
from pathlib import Path
from priorwise.errors import BadInput
from priorwise.durable import write_with_digest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
last = Path({str(last)!r})
try:
    write_with_digest(last, bytes(4000), last.with_name("previous.ckpt"))
except BadInput as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=HERE
    )
    assert "last.ckpt" in done.stdout and "cannot be written" in done.stdout
    assert last.read_bytes() == OLD and damage(last) is None
    assert len(list(last.parent.iterdir())) == 4


def own_mounts():
    """Whether this user may mount a file system of its own."""
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not own_mounts(), reason="this user may not mount a small disk")
def test_a_full_disk_leaves_what_was_there(tmp_path):
    """Also where TMPDIR is another file system, with room enough."""
    code = """
from pathlib import Path
from priorwise.errors import BadInput
from priorwise.durable import damage, write_with_digest
last = Path("/mnt/last.ckpt")
sizes = []
for size in (60_000, 70_000, 80_000, 90_000, 100_000):
    try:
        write_with_digest(last, bytes(size), last.with_name("previous.ckpt"))
        sizes.append(size)
    except BadInput as error:
        print(error)
        break
assert damage(last) is None and last.stat().st_size == sizes[-1], sizes
assert damage(last.with_name("previous.ckpt")) is None
"""
    mount = "mount -t tmpfs -o size=256k none /mnt && exec "
    command = ["unshare", "-rm", "sh", "-c", mount + '"$0" -c "$1"', sys.executable, code]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**HERE, "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert "/mnt/last.ckpt" in done.stdout and "No space left on device" in done.stdout


def test_a_folder_that_is_not_there_is_made_and_one_that_cannot_be_is_named(tmp_path):
    write_whole(tmp_path / "a" / "b", b"x")
    assert (tmp_path / "a" / "b").read_bytes() == b"x"
    with pytest.raises(BadInput, match="cannot be written"):
        write_whole(tmp_path / "a" / "b" / "c", b"x")
