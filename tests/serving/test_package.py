"""The packaged models of both pipelines: whole, pinned, loadable where there is nothing else."""

import ast
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.rna import tiny_network

from priorwise.errors import BadInput
from priorwise.serving.package import PACKAGE
from priorwise.serving.packages import PACKAGES, package_of
from priorwise.serving.rna_package import EXAMPLES, FEATURE_PINS, RNA
from priorwise.serving.spectra_package import SPECTRA, example

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
print(json.dumps([answer.to_dict("list"), priorwise.__file__,
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


@dataclass(frozen=True)
class Made:
    """A package, and a model made with it."""

    package: Any
    network: Path
    pyfunc: Path
    model: Any


@pytest.fixture(params=["spectra", "rna"])
def made(request) -> Made:
    package, prefix = {"spectra": (SPECTRA, ""), "rna": (RNA, "rna_")}[request.param]
    parts = (request.getfixturevalue(f"{prefix}{name}") for name in ("network", "pyfunc", "model"))
    return Made(package, *parts)


both = pytest.mark.parametrize("package", [SPECTRA, RNA], ids=["spectra", "rna"])


@both
def test_shipped_files_import_nothing_that_is_not_shipped(package):
    shipped = {
        "priorwise." + name.removesuffix(".py").replace("/", ".") for name in package.shipped
    }
    known = shipped | {name.removesuffix(".__init__") for name in shipped}
    for name in (*package.shipped, f"serving/{package.code}"):
        assert imported(PACKAGE / name) <= known, name
    for name in package.shipped:  # and the packages round them
        assert f"{Path(name).parent}/__init__.py".removeprefix("./") in package.shipped


@both
def test_nothing_is_shipped_in_vain(package):
    wanted = imported(PACKAGE / "serving" / package.code)
    while True:
        files = {
            PACKAGE / (name.removeprefix("priorwise.").replace(".", "/") + ".py") for name in wanted
        }
        more = wanted | {name for path in files for name in imported(path)}
        if more == wanted:
            break
        wanted = more
    modules = {name for name in package.shipped if not name.endswith("__init__.py")}
    assert modules == {f"{n.removeprefix('priorwise.').replace('.', '/')}.py" for n in wanted}
    assert len(set(package.shipped)) == len(package.shipped)


def test_neither_carries_the_other():
    assert not [name for name in SPECTRA.shipped if "rna" in name]
    assert not [name for name in RNA.shipped if "spectra" in name]


@both
def test_every_package_imported_is_pinned(package):
    """Of what a model's code imports, and neither Python nor the model brings."""
    pinned = {pin.partition("==")[0] for pin in package.pins({"features": ["turner2004"]})}
    foreign = set()
    for name in (*package.shipped, f"serving/{package.code}"):
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                foreign.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                foreign |= {alias.name.partition(".")[0] for alias in node.names}
    foreign -= {"priorwise", *sys.stdlib_module_names}
    assert foreign == {{"ViennaRNA": "RNA"}.get(pin, pin) for pin in pinned}


def test_pins_are_the_projects_public_ones(made):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["rna"]}
    pins = made.package.pins(made.package.read_description(made.network))
    assert {*pins, *FEATURE_PINS} <= known
    assert (made.pyfunc / "requirements.txt").read_text().split() == list(pins)
    environment = yaml.safe_load((made.pyfunc / "conda.yaml").read_text())
    assert environment["dependencies"][-1]["pip"] == list(pins)
    assert all("+" not in pin for pin in pins)
    assert not set(pins) & set(FEATURE_PINS), "only of models that take features"


def test_no_pickle_and_no_surplus(made):
    names = {p.relative_to(made.pyfunc).as_posix() for p in made.pyfunc.rglob("*") if p.is_file()}
    code = {name.removeprefix("code/priorwise/") for name in names if name.startswith("code/")}
    assert code == set(made.package.shipped)
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".pth", ".pyc"))]
    for name in ("model.safetensors", "model.json"):
        inside = made.pyfunc / "artifacts" / "network" / name
        assert inside.read_bytes() == (made.network / name).read_bytes()


def test_nothing_says_where_it_was_made(made):
    places = [str(PACKAGE), str(made.network), tempfile.gettempdir()]
    for path in made.pyfunc.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [place for place in places if place.encode() in content], path
    described = yaml.safe_load((made.pyfunc / "MLmodel").read_text())
    flavor = described["flavors"]["python_function"]
    assert flavor["model_code_path"] == "model_code.py"
    assert flavor["artifacts"]["network"] == {
        "path": "artifacts/network",
        "uri": "artifacts/network",
    }
    assert described["model_size_bytes"] > 0 and described["signature"]["params"]


def test_a_network_folder_says_which_package_it_needs(made, tmp_path):
    assert package_of(made.network) is made.package
    assert package_of(tiny_network.network_folder(tmp_path / "a", schema="")) is PACKAGES[""]
    other = tiny_network.network_folder(tmp_path / "b", schema="proteins/1")
    with pytest.raises(BadInput, match="schema 'proteins/1' .expected one of spectra/1, rna/1"):
        package_of(other)


def test_a_short_model_has_short_examples():
    assert list(RNA.example({"longest": 0})["sequence"]) == list(EXAMPLES)
    assert RNA.example({"longest": 10})["sequence"].str.len().max() == 10


@pytest.mark.parametrize("polarity", ["both", "positive", "negative"])
def test_example_is_of_a_polarity_the_model_knows(polarity):
    rows = example({"polarity": polarity})["instrument_settings"]
    positive = [row[15] == 1 and row[14] == 0 for row in rows]
    assert len(rows) == 2
    assert positive == {"both": [False, True], "positive": [True] * 2}.get(polarity, [False] * 2)


def test_loads_in_an_empty_folder_with_nothing_of_the_project(made, tmp_path):
    frame = made.package.example({"polarity": "both", "longest": 0})
    frame.to_json(tmp_path / "example.json")
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    forbidden = ["lance", "lightning", "pytorch_lightning", "boto3", "matchms", "pyteomics", "RNA"]
    command = [sys.executable, "-I", "-c", ELSEWHERE]
    done = subprocess.run(
        [*command, str(made.pyfunc), str(tmp_path / "example.json"), *forbidden],
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
    answer, where, loaded = json.loads(done.stdout.splitlines()[-1])
    expected = made.model.predict(frame).to_dict("list")
    assert list(answer) == list(expected)
    for name, values in expected.items():
        numbers = isinstance(values[0], float)
        assert answer[name] == (pytest.approx(values, abs=1e-6) if numbers else values)
    assert Path(where).is_relative_to(made.pyfunc / "code"), "the code that travelled is what runs"
    assert not loaded
    assert not list(copy.iterdir())
