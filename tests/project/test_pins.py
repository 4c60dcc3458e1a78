"""The files that describe the project to pip, conda and MLflow must not drift apart."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "conda.yaml").read_text())
PINS = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def pip_section() -> list[str]:
    sections = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    assert len(sections) == 1
    return sections[0]


def mlproject() -> dict:
    return yaml.safe_load((ROOT / "MLproject").read_text())


def commands() -> dict[str, str]:
    return {name: entry["command"] for name, entry in mlproject()["entry_points"].items()}


def table(requirements: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Canonical name -> (specifier, extras); a name listed twice is an error."""
    parsed = [Requirement(text) for text in requirements]
    names = [canonicalize_name(requirement.name) for requirement in parsed]
    assert len(set(names)) == len(names), "a package is listed twice"
    return {
        name: (str(requirement.specifier), tuple(sorted(requirement.extras)))
        for name, requirement in zip(names, parsed, strict=True)
    }


# --- pyproject.toml and conda.yaml ----------------------------------------------------------------


def test_conda_yaml_lists_the_same_pins():
    assert table(pip_section()) == table(PINS)


@pytest.mark.parametrize("text", PINS + [pin for extra in EXTRAS.values() for pin in extra])
def test_every_requirement_is_an_exact_pin(text):
    assert re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z0-9,]+\])?==[0-9][0-9A-Za-z.]*", text), text


def test_conda_yaml_has_nothing_that_uv_would_leave_out():
    # MLflow's uv way reads only python, pip and the pip section; anything else is dropped.
    plain = [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]
    assert [entry.partition("=")[0] for entry in plain] == ["python", "pip"]


def test_conda_yaml_python_is_one_that_the_package_accepts():
    python = next(e for e in CONDA["dependencies"] if isinstance(e, str) and e.startswith("python"))
    version = python.partition("=")[2]
    accepted = Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier
    assert accepted.contains(f"{version}.0")


def test_conda_yaml_does_not_install_the_project():
    # MLflow installs from a temporary folder, so an editable install would point at nothing.
    assert not [pin for pin in pip_section() if pin.lstrip().startswith(("-", ".", "/"))]


def test_a_package_pinned_in_several_places_has_one_version():
    seen: dict[str, set[str]] = {}
    for text in PINS + [pin for extra in EXTRAS.values() for pin in extra]:
        requirement = Requirement(text)
        versions = seen.setdefault(canonicalize_name(requirement.name), set())
        versions.add(str(requirement.specifier))
    assert {name: versions for name, versions in seen.items() if len(versions) > 1} == {}


@pytest.mark.parametrize("text", PINS + EXTRAS["dev"])
def test_installed_version_equals_the_pin(text):
    requirement = Requirement(text)
    # torch's CPU build calls itself 2.13.0+cpu: the local part is not ours to pin.
    installed = Version(importlib.metadata.version(requirement.name)).public
    assert requirement.specifier.contains(installed, prereleases=True)


def test_package_version_is_stated_once():
    package = (ROOT / "src" / "priorwise" / "__init__.py").read_text()
    stated = re.search(r'^__version__ = "([^"]+)"$', package, re.MULTILINE)
    assert stated and stated[1] == PYPROJECT["project"]["version"]


# --- MLproject ------------------------------------------------------------------------------------


def test_mlproject_names_conda_yaml_as_its_only_environment():
    # Two environment fields are an error in MLflow, even with --env-manager local.
    environments = {key for key in mlproject() if key.endswith("_env")}
    assert environments == {"conda_env"}
    assert mlproject()["conda_env"] == "conda.yaml"


def test_every_entry_has_a_script_and_every_script_an_entry():
    scripts = {path.stem for path in (ROOT / "entry_points").glob("*.py")}
    assert set(commands()) == scripts


def test_every_command_runs_its_script_from_src():
    for name, command in commands().items():
        assert command.startswith(f"PYTHONPATH=src python -P entry_points/{name}.py"), name


def test_no_placeholder_is_quoted():
    # MLflow quotes the values itself; a second pair of quotes would undo that.
    quoted = re.compile(r"""['"][^'"]*\{\w+\}[^'"]*['"]""")
    assert [name for name, command in commands().items() if quoted.search(command)] == []


def test_placeholders_and_parameters_agree_and_every_parameter_has_a_default():
    for name, entry in mlproject()["entry_points"].items():
        parameters = entry.get("parameters", {})
        placeholders = re.findall(r"\{(\w+)\}", entry["command"])
        assert sorted(placeholders) == sorted(parameters), name
        for key, value in parameters.items():
            assert f"--{key} {{{key}}}" in entry["command"], f"{name}: {key}"
            assert isinstance(value, dict) and "default" in value, f"{name}: {key} has no default"
            # MLflow checks `path` and `uri` after it made the run, and leaves that run RUNNING.
            assert value.get("type") not in {"path", "uri"}, f"{name}: {key}"
