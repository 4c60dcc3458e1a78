"""The documented ways to run, through MLflow's own environment code.

Conda: the flag-less `mlflow run`, with a stand-in `conda` first on PATH (see stand_in_conda/).
uv: `--env-manager uv`, with conda.yaml cut by torch and what needs it, since from the public index
uv would download gigabytes of CUDA. `--env-manager local` is how every other test runs an entry.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
STAND_IN_CONDA = Path(__file__).parent / "stand_in_conda"
BIN = Path(sys.executable).parent
SMALL = ["n_train=100", "n_validation=50", "n_test=50"]
CUT = {"torch", "lightning", "torchmetrics"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One sqlite store for the file: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def environment(store, tmp_path):
    """What a user's shell has: no conda, no MLflow settings but the store, no trace of pytest."""
    ours = ("MLFLOW_", "CONDA", "PYTEST", "PYTHONPATH", "VIRTUAL_ENV", "UV_PYTHON", "PRIORWISE")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return kept | {
        "PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]),
        "MLFLOW_TRACKING_URI": store,
        "MLFLOW_ENV_ROOT": str(tmp_path / "envs"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


@pytest.fixture
def conda(environment, tmp_path):
    """The same shell with the stand-in conda; environments go to a folder of the test."""
    return environment | {
        "PATH": os.pathsep.join([str(STAND_IN_CONDA), environment["PATH"]]),
        "STAND_IN_CONDA_ENVS": str(tmp_path / "envs"),
    }


@pytest.fixture
def project(tmp_path):
    """A copy of what a clone holds, so that nothing is written into the checkout."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in ("MLproject", "conda.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    for name in ("src", "entry_points", "configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def mlflow_run(project: Path, entry: str, environment: dict[str, str], *flags: str) -> dict:
    """Run an entry point, insist on success, and return its newest run as MLflow prints it."""
    from mlflow import MlflowClient

    experiment = str(project)
    command = [str(BIN / "mlflow"), "run", ".", "-e", entry, "--experiment-name", experiment]
    done = subprocess.run(
        [*command, *flags],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]

    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    assert run.info.status == "FINISHED"
    return dict(run.data.tags) | {"output": done.stdout}


def parameters(*values: str) -> list[str]:
    return [flag for value in values for flag in ("-P", value)]


# --- conda ----------------------------------------------------------------------------------------

PROBE = """\
import argparse, json, os, sys
import tiny
parser = argparse.ArgumentParser()
parser.add_argument("--text")
report = vars(parser.parse_args()) | {"prefix": sys.prefix, "tiny": tiny.__file__}
json.dump(report | {"run_id": os.environ["MLFLOW_RUN_ID"]}, open("report.json", "w"))
"""


@pytest.fixture
def miniature(tmp_path):
    """A project whose only dependency is a wheel made here: no network, seconds to install."""
    project = tmp_path / "miniature"
    (project / "entry_points").mkdir(parents=True)
    (project / "entry_points" / "probe.py").write_text(PROBE)
    wheel = project / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    pins = ["python=3.11", "pip", {"pip": [str(wheel)]}]
    (project / "conda.yaml").write_text(yaml.safe_dump({"dependencies": pins}))
    command = "PYTHONPATH=src python -P entry_points/probe.py --text {text}"
    probe = {"parameters": {"text": {"default": "none"}}, "command": command}
    mlproject = {"name": "mini", "conda_env": "conda.yaml", "entry_points": {"probe": probe}}
    (project / "MLproject").write_text(yaml.safe_dump(mlproject))
    return project


def test_conda_way_installs_the_pip_section_and_runs_in_it(miniature, conda):
    text = "a b; touch pwned $(touch pwned) 'x\" \n y"
    tags = mlflow_run(miniature, "probe", conda, *parameters(f"text={text}"))

    assert tags["mlflow.project.env"] == "conda"
    assert "Creating conda environment" in tags["output"]
    report = json.loads((miniature / "report.json").read_text())
    assert report["text"] == text
    assert report["run_id"]
    assert Path(report["prefix"]).parent == Path(conda["STAND_IN_CONDA_ENVS"])
    assert report["tiny"].startswith(report["prefix"])
    assert not (miniature / "pwned").exists()


def test_conda_way_runs_the_real_project(project, conda):
    # The running environment's packages are lent, so only the installation itself is left out.
    conda = conda | {"STAND_IN_CONDA_LEND": sysconfig.get_path("purelib")}
    tags = mlflow_run(project, "simulate", conda, *parameters(*SMALL))
    assert tags["mlflow.project.env"] == "conda"
    assert tags["complete"] == "true"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_conda_way_installs_the_real_pins(project, conda, tmp_path):
    tags = mlflow_run(project, "simulate", conda, *parameters(*SMALL))
    assert tags["mlflow.project.env"] == "conda"
    assert tags["complete"] == "true"

    (python,) = (tmp_path / "envs").glob("*/bin/python")
    subprocess.run([str(python), "-m", "pip", "check"], check=True)
    # One package behind each part of the project that `simulate` itself does not touch.
    modules = "torch, lightning, lance, matchms, pyteomics, sklearn, torchmetrics, safetensors"
    subprocess.run([str(python), "-c", f"import {modules}"], check=True)


# --- uv -------------------------------------------------------------------------------------------


def uv_settings() -> dict[str, str]:
    """Where pip is told to find packages on this machine, in uv's words."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    pip: dict[str, str] = {}
    # Later scopes win, as they do in pip.
    for scope in ("global.", "install.", ":env:."):
        for line in listed.stdout.splitlines():
            if line.startswith(scope):
                key, _, value = line.removeprefix(scope).partition("=")
                pip[key] = " ".join(str(ast.literal_eval(value)).split())

    uv = {"UV_PYTHON_DOWNLOADS": "never"}
    if "index-url" in pip:
        uv["UV_DEFAULT_INDEX"] = pip["index-url"]
    if "extra-index-url" in pip:
        # pip takes the best version of all indexes; uv, by default, that of the first with any.
        uv |= {"UV_INDEX": pip["extra-index-url"], "UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "find-links" in pip:
        uv["UV_FIND_LINKS"] = pip["find-links"].replace(" ", ",")
    if "constraint" in pip:
        uv["UV_CONSTRAINT"] = pip["constraint"]
    if "cert" in pip:
        uv["SSL_CERT_FILE"] = pip["cert"]
    return uv


# Torch-free parts of the package, and the versions that it finds installed.
UV_PROBE = """\
import json, sys
from importlib.metadata import distributions
import mlflow
from priorwise.spectra.schema import SPECTRA_SCHEMA
from priorwise.store import tables
versions = {d.metadata["Name"].lower(): d.version for d in distributions()}
with mlflow.start_run():
    mlflow.set_tag("columns", len(SPECTRA_SCHEMA))
json.dump({"prefix": sys.prefix, "versions": versions}, open("report.json", "w"))
"""


@pytest.mark.slow
def test_uv_way_installs_the_pins_and_runs_in_them(project, environment):
    conda_yaml = yaml.safe_load((project / "conda.yaml").read_text())
    section = next(entry for entry in conda_yaml["dependencies"] if isinstance(entry, dict))
    section["pip"] = [pin for pin in section["pip"] if pin.partition("==")[0] not in CUT]
    (project / "conda.yaml").write_text(yaml.safe_dump(conda_yaml))
    mlproject = yaml.safe_load((project / "MLproject").read_text())
    command = "PYTHONPATH=src python -P entry_points/probe.py"
    mlproject["entry_points"]["probe"] = {"command": command}
    (project / "MLproject").write_text(yaml.safe_dump(mlproject))
    (project / "entry_points" / "probe.py").write_text(UV_PROBE)

    tags = mlflow_run(project, "probe", environment | uv_settings(), "--env-manager", "uv")

    assert tags["mlflow.project.env"] == "uv"
    assert tags["columns"] == "11"
    report = json.loads((project / "report.json").read_text())
    assert Path(report["prefix"]).parent == Path(environment["MLFLOW_ENV_ROOT"])
    assert "uv = " in (Path(report["prefix"]) / "pyvenv.cfg").read_text()
    assert "torch" not in report["versions"]
    for pin in section["pip"]:
        name, _, version = pin.partition("==")
        assert report["versions"][name.partition("[")[0].lower()] == version, pin
