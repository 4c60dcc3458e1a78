"""The packaged model: whole, pinned, and loadable where there is nothing else."""

import ast
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml

from priorwise.serving.package import PACKAGE, PINS, SHIPPED, example

ROOT = Path(__file__).resolve().parents[2]
#: loads the model named on its command line, with the modules after it made unimportable
ELSEWHERE = """
import json, sys
import pandas as pd
model, example, *forbidden = sys.argv[1:]

class Forbidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in forbidden:
            raise ImportError(f"{name} is not to be had here")

# the checkout, installed where the tests run, is not there either
sys.path = [place for place in sys.path if not place.rstrip("/").endswith("/src")]
sys.meta_path = [f for f in sys.meta_path if "editable" not in f"{f} {type(f)}".lower()]
sys.meta_path.insert(0, Forbidden())
import mlflow
answer = mlflow.pyfunc.load_model(model).predict(pd.read_json(example))
import priorwise
print(json.dumps([answer["probability"].tolist(), priorwise.__file__,
                  sorted(set(forbidden) & set(sys.modules))]))
"""


def imported(path: Path) -> set[str]:
    """The priorwise modules a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "priorwise"}


def test_shipped_files_import_nothing_that_is_not_shipped():
    shipped = {"priorwise." + name.removesuffix(".py").replace("/", ".") for name in SHIPPED}
    known = shipped | {name.removesuffix(".__init__") for name in shipped}
    for name in (*SHIPPED, "serving/model_code.py"):
        assert imported(PACKAGE / name) <= known, name
    for name in SHIPPED:  # and the packages round them
        assert f"{Path(name).parent}/__init__.py".removeprefix("./") in SHIPPED


def test_nothing_is_shipped_in_vain():
    wanted = {"priorwise.serving.spectra_pyfunc"}
    while True:
        files = {
            PACKAGE / (name.removeprefix("priorwise.").replace(".", "/") + ".py") for name in wanted
        }
        more = wanted | {name for path in files for name in imported(path)}
        if more == wanted:
            break
        wanted = more
    modules = {name for name in SHIPPED if not name.endswith("__init__.py")}
    assert modules == {f"{n.removeprefix('priorwise.').replace('.', '/')}.py" for n in wanted}


def test_pins_are_the_projects_public_ones(pyfunc):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(PINS) <= set(project)
    assert (pyfunc / "requirements.txt").read_text().split() == list(PINS)
    environment = yaml.safe_load((pyfunc / "conda.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == list(PINS)
    assert all("+" not in pin for pin in PINS)


def test_no_pickle_and_no_surplus(pyfunc, network):
    names = {path.relative_to(pyfunc).as_posix() for path in pyfunc.rglob("*") if path.is_file()}
    code = {name.removeprefix("code/priorwise/") for name in names if name.startswith("code/")}
    assert code == set(SHIPPED)
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".pth", ".pyc"))]
    for name in ("model.safetensors", "model.json"):
        inside = pyfunc / "artifacts" / "network" / name
        assert inside.read_bytes() == (network / name).read_bytes()


def test_nothing_says_where_it_was_made(pyfunc, network, model):
    places = [str(PACKAGE), str(network), tempfile.gettempdir()]
    for path in pyfunc.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [place for place in places if place.encode() in content], path
    described = yaml.safe_load((pyfunc / "MLmodel").read_text())
    flavor = described["flavors"]["python_function"]
    assert flavor["model_code_path"] == "model_code.py"
    assert flavor["artifacts"]["network"] == {
        "path": "artifacts/network",
        "uri": "artifacts/network",
    }
    assert described["model_size_bytes"] > 0 and described["signature"]["params"]


@pytest.mark.parametrize("polarity", ["both", "positive", "negative"])
def test_example_is_of_a_polarity_the_model_knows(polarity):
    rows = example(polarity)["instrument_settings"]
    positive = [row[15] == 1 and row[14] == 0 for row in rows]
    assert len(rows) == 2
    assert positive == {"both": [False, True], "positive": [True] * 2}.get(polarity, [False] * 2)


def test_loads_in_an_empty_folder_with_nothing_of_the_project(pyfunc, model, tmp_path):
    frame = example("both")
    frame.to_json(tmp_path / "example.json")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    forbidden = ["lance", "lightning", "pytorch_lightning", "boto3", "matchms", "pyteomics"]
    command = [sys.executable, "-I", "-c", ELSEWHERE, str(pyfunc), str(tmp_path / "example.json")]
    done = subprocess.run(
        [*command, *forbidden],
        cwd=copy,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
            # a port where nobody answers: whoever asks a server fails
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    probability, where, loaded = json.loads(done.stdout.splitlines()[-1])
    assert probability == pytest.approx(model.predict(frame)["probability"].tolist(), abs=1e-6)
    assert Path(where).is_relative_to(pyfunc / "code"), "the code that travelled is what runs"
    assert not loaded
    assert not list(copy.iterdir())
