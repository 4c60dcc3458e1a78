"""Case 114: versions with known holes do not start, whichever of the entry points is asked."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.pipelines.workplace import ROOT

from priorwise.errors import BadInput
from priorwise.phases.floors import FLOORS, check_floors


def installed(folder: Path, package: str, version: str) -> Path:
    """Metadata of an installed package, ahead of the real one on the path."""
    place = folder / f"{package}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    return folder


def start(entry: str, *ahead: Path) -> subprocess.CompletedProcess:
    path = os.pathsep.join([*map(str, ahead), str(ROOT / "src")])
    return subprocess.run(
        [sys.executable, "-P", ROOT / "entry_points" / f"{entry}.py"],
        env={**os.environ, "PYTHONPATH": path, "MLFLOW_TRACKING_URI": "sqlite:///nope/x.db"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("package", "version"),
    [("mlflow", "3.16.9"), ("torch", "2.5.1"), ("lightning", "2.6.5"), ("mlflow", "unknown")],
)
def test_below_the_floor_nothing_starts(tmp_path, package, version):
    done = start("bce_pretrain", installed(tmp_path, package, version))
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"priorwise bce_pretrain: {package}: version {version} (expected ")
    assert FLOORS[package][0] in line


@pytest.mark.parametrize("entry", sorted(p.stem for p in (ROOT / "entry_points").glob("*.py")))
def test_every_entry_point_looks(tmp_path, entry):
    done = start(entry, installed(tmp_path, "mlflow", "3.10.0"))
    assert done.returncode == 2 and "mlflow: version 3.10.0" in done.stderr


@pytest.mark.parametrize(
    ("package", "version"),
    [("torch", "2.6.0+cpu"), ("torch", "10.0"), ("mlflow", "3.17.0"), ("lightning", "2.6.6.post1")],
)
def test_at_the_floor_and_above_it_does(tmp_path, monkeypatch, package, version):
    monkeypatch.syspath_prepend(str(installed(tmp_path, package, version)))
    check_floors()


def test_a_package_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(FLOORS, "no-such-package", ("1.0", "nothing works"))
    with pytest.raises(BadInput, match="no-such-package: version none"):
        check_floors()


def test_the_pins_are_above_the_floors():
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())
    (pip,) = [entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict)]
    pinned = dict(line.split("==") for line in pip)
    for package, (floor, _) in FLOORS.items():
        numbers = [tuple(map(int, re.findall(r"\d+", v))) for v in (pinned[package], floor)]
        assert numbers[0] >= numbers[1], package
