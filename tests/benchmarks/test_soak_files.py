"""The soak of files, cut short."""

import re
import subprocess
import sys

import pytest
from benchmarks import soak_files
from tests.pipelines.workplace import ROOT


def test_appends_at_once():
    (line,) = soak_files.appends(5)
    assert line.passed, line
    assert line.note == "250 of 250 rows, 0 refused"


@pytest.mark.slow
def test_kills_and_flips():
    """As the command it is: it forks, which this process with its threads must not."""
    command = [sys.executable, "-m", "benchmarks.soak_files", "--n", "7", "--seed", "5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.findall(r"^\S.*?  +(\d+)  +(\d+)\b", done.stdout, re.MULTILINE)
    assert counts == [("7", "7")] * 2 + [("5", "5")] * 2 + [("2", "2")], done.stdout
