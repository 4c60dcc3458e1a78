"""A lock between processes: one holder at a time, none after a kill, no file left."""

import subprocess
import sys

from priorwise.tracking.file_lock import FileLock

COUNT = """
import sys
from pathlib import Path
from priorwise.tracking.file_lock import FileLock
path, counter = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(40):
    lock = FileLock(path)
    assert lock.take(60)
    counter.write_text(str(int(counter.read_text()) + 1))
    lock.release()
"""
HOLD = """
import sys
from pathlib import Path
from priorwise.tracking.file_lock import FileLock
assert FileLock(Path(sys.argv[1])).take()
print("held", flush=True)
sys.stdin.read()
"""


def start(code, *arguments, **pipes):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, text=True, **pipes)


def test_one_holder_at_a_time(tmp_path):
    counter, path = tmp_path / "counter", tmp_path / "a.lock"
    counter.write_text("0")
    running = [start(COUNT, path, counter) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    assert counter.read_text() == "160"
    assert not path.exists()


def test_a_killed_holder_holds_nothing(tmp_path):
    path = tmp_path / "a.lock"
    holder = start(HOLD, path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == "held\n"
    lock = FileLock(path)
    assert not lock.take() and not lock.take(0.2)
    holder.kill()
    holder.communicate()
    assert lock.take()
    lock.release()
    lock.release()
    assert not path.exists()
