"""The local copy of a run's metrics: whole after any crash, and never a wrong number."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import Metric, RunTag

from priorwise.errors import BadInput, TrackingFailure
from priorwise.tracking.spool import Spool, read_spool

VALUES = (0.1, 1 / 3, 1e-300, -0.0, 1.7976931348623157e308, 5e-324)


def write(path, values=VALUES, run_id="run"):
    spool = Spool(path, run_id, "http://user:geheim@host")
    spool.write([Metric("a,\"b'", value, 1000 + i, i) for i, value in enumerate(values)])
    spool.write([], [RunTag("nonfinite.c", "inf at step 3")])
    spool.sync()
    spool.close()
    return path


def rows(spooled):
    return [(m.key, m.value, m.timestamp, m.step) for m in spooled.metrics]


def test_what_was_written_is_read_bit_by_bit(tmp_path):
    found = read_spool(write(tmp_path / "deep" / "spool.csv"))
    assert rows(found) == [("a,\"b'", v, 1000 + i, i) for i, v in enumerate(VALUES)]
    assert math.copysign(1, found.metrics[3].value) == -1
    assert found.tags == {"nonfinite.c": "inf at step 3"}
    assert (found.run_id, found.store, found.dropped) == ("run", "http://user:***@host", "")
    assert b"geheim" not in found.path.read_bytes()


def test_a_second_process_goes_on_and_each_place_counts_once(tmp_path):
    path = write(tmp_path / "spool.csv")
    spool = Spool(path, "run", "")
    assert rows(spool.earlier) == rows(read_spool(path))
    spool.write([Metric("a,\"b'", 7.0, 5000, 2), Metric("new", 1.0, 5000, 2)])
    spool.close()
    assert rows(read_spool(path)) == [*rows(spool.earlier), ("new", 1.0, 5000, 2)]


def test_a_spool_cut_at_any_byte_never_gives_a_wrong_number(tmp_path):
    whole = write(tmp_path / "spool.csv")
    expected, content = rows(read_spool(whole)), whole.read_bytes()
    first = content.index(b"\n", content.index(b"\n") + 1) + 1
    for cut in range(first, len(content)):
        path = tmp_path / "cut.csv"
        path.write_bytes(content[:cut])
        found = rows(read_spool(path))
        assert found == expected[: len(found)]
        spool = Spool(path, "run", "")  # and a process that goes on
        spool.write([Metric("z", 1.0, 1, 1)])
        spool.close()
        assert rows(read_spool(path)) == [*found, ("z", 1.0, 1, 1)]
        assert read_spool(path).dropped == ""


def test_every_flipped_byte_is_noticed(tmp_path):
    whole = write(tmp_path / "spool.csv")
    content, path = whole.read_bytes(), tmp_path / "flipped.csv"
    expected = rows(read_spool(whole))
    refused = 0
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        try:
            found = read_spool(path)
        except BadInput as error:
            assert str(path) in str(error)
            refused += 1
        else:  # the end of the last line: it is left out, and that is said
            assert found.dropped and rows(found) == expected[: len(found.metrics)]
    assert refused >= len(content) - 1


def test_spool_of_another_run_or_of_another_kind(tmp_path):
    with pytest.raises(BadInput, match="is of run other"):
        Spool(write(tmp_path / "spool.csv", run_id="other"), "run", "")
    for content, said in (("epoch,a\n0,1\n", "column kind"), ("", "is empty")):
        (tmp_path / "x.csv").write_text(content)
        with pytest.raises(BadInput, match=said):
            read_spool(tmp_path / "x.csv")


def test_a_full_disk_is_said_in_one_line_and_leaves_no_half_row(tmp_path):
    """The largest size a file may have stands in for the disk: bytes up to it are written."""
    path = write(tmp_path / "spool.csv")
    code = f"""
import resource, signal
from pathlib import Path
from mlflow.entities import Metric
from priorwise.errors import TrackingFailure
from priorwise.tracking.spool import Spool
spool = Spool(Path({str(path)!r}), "run", "")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({path.stat().st_size + 20}, resource.RLIM_INFINITY))
try:
    spool.write([Metric("b", 1 / 3, 1, 1)])
except TrackingFailure as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.ended({{"exit.code": "4"}})
spool.close()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path}: the metrics cannot be written to disk (File too large)")
    found = read_spool(path)
    assert len(found.metrics) == len(VALUES)
    assert found.ended == {"exit.code": "4"} and not found.dropped


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_no_space_left(tmp_path):
    spool = Spool(tmp_path / "spool.csv", "run", "")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, spool._stream.fileno())
    with pytest.raises(TrackingFailure, match=r"spool\.csv: .*\(No space left on device\)"):
        spool.write([Metric("a", 1.0, 0, 0)])
    spool.close()
    os.close(full)


def test_how_a_training_ended_is_forgotten_when_it_goes_on(tmp_path):
    path = write(tmp_path / "spool.csv")
    spool = Spool(path, "run", "")
    spool.ended({"exit.code": "4", "exit.reason": "away\nfor long http://u:geheim@h"})
    ended = read_spool(path).ended
    assert ended == {"exit.code": "4", "exit.reason": "away for long http://u:***@h"}
    spool.write([Metric("a", 1.0, 1, 99)])
    spool.close()
    assert read_spool(path).ended == {}
