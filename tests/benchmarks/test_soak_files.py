"""The soak of files, cut short."""

import random

import pytest
from benchmarks import soak_files


def test_appends_at_once():
    (line,) = soak_files.appends(5)
    assert line.passed, line
    assert line.note == "250 of 250 rows, 0 refused"


@pytest.mark.slow
def test_kills_and_flips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(5)
    lines = soak_files.kills(5, tmp_path, draw, lambda line: None)
    lines += soak_files.flips(5, tmp_path, draw)
    assert [(line.done, line.well) for line in lines] == [(5, 5)] * 4, lines
