"""No value of a parameter is ever executed: for every entry point, in MLflow's own command."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from mlflow.projects._project_spec import EntryPoint, load_project
from tests.pipelines.workplace import ROOT

ENTRIES = (
    "main",
    "simulate",
    "ingest",
    "dataset_stats",
    "bce_pretrain",
    "predict",
    "estimate_prior",
    "nnpu_train",
    "select_threshold",
    "evaluate",
    "promote",
    "score",
    "import_checkpoint",
    "rna_prepare",
    "rna_pretrain",
    "rna_ensemble",
    "rna_evaluate",
    "rna_sweep",
    "plot_metrics",
    "sync_run",
    "janitor",
    "doctor",
)
VALUES = {
    "semicolon": "a; touch {marker}",
    "substitution": "$(touch {marker})",
    "backticks": "`touch {marker}`",
    "and": "a && touch {marker} || touch {marker}",
    "pipe": "a | tee {marker} > {marker}",
    "single quotes": "a' ; touch {marker} ; '",
    "double quotes": 'a" ; touch {marker} ; "',
    "newline": "a\ntouch {marker}\n",
    "blanks and globs": "  two  words * ? ~ [a-z] {{b,c}} \\ ! # -- --x=$HOME",
    "braces": "{{data}} {{0}} {{data.__class__}}",
    "umlaut": "größe µ",
}
STAND_IN = """#!{python} -IS
import json, sys
json.dump(sys.argv[1:], open({found!r}, "w"))
"""


@pytest.fixture(scope="module")
def entries():
    return load_project(str(ROOT))._entry_points


@pytest.fixture
def executed(tmp_path):
    """Run a command as MLflow's local backend does; the words that `python` was given."""
    found = tmp_path / "found.json"
    folder = tmp_path / "bin"
    folder.mkdir()
    python = folder / "python"
    python.write_text(STAND_IN.format(python=sys.executable, found=str(found)))
    python.chmod(0o755)

    def execute(command):
        environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, timeout=60)
        assert done.returncode == 0
        return json.loads(found.read_text())

    return execute


def test_every_entry_point_is_tried(entries):
    assert set(entries) == set(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("kind", VALUES)
def test_values_arrive_as_they_are(entries, executed, tmp_path, entry, kind):
    marker = tmp_path / "executed"
    point = entries[entry]
    given = {
        name: f"{i} {VALUES[kind].format(marker=marker)}" for i, name in enumerate(point.parameters)
    }
    # a parameter that MLproject does not declare is passed on too, and refused by the script
    undeclared = {"nope": VALUES[kind].format(marker=marker)}
    words = executed(point.compute_command({**given, **undeclared}, None))
    assert not marker.exists()
    flags = [word for pair in (given | undeclared).items() for word in (f"--{pair[0]}", pair[1])]
    assert words == ["-P", f"entry_points/{entry}.py", *flags]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "found.json"]


def test_these_values_would_show_a_quoted_placeholder(executed, tmp_path):
    """The rule of MLproject, and that the tests above can fail."""
    parameters = {"data": {"type": "string", "default": ""}}
    for quote, kind in (("'", "semicolon"), ('"', "substitution")):
        marker = tmp_path / kind
        point = EntryPoint("quoted", parameters, f"python -P x.py --data {quote}{{data}}{quote}")
        executed(point.compute_command({"data": VALUES[kind].format(marker=marker)}, None))
        assert marker.exists()


@pytest.mark.parametrize("entry", ENTRIES)
def test_defaults_arrive_too(entries, executed, entry):
    words = executed(entries[entry].compute_command({}, None))
    names = [word.removeprefix("--") for word in words[2::2]]
    assert names == list(entries[entry].parameters)


def test_real_run_with_such_a_value(workplace, project):
    """Nothing executed, the run of the runner FAILED with 2, one line that names the value."""
    marker = workplace.folder / "executed"
    value = f"/nope/$(touch {marker});`touch {marker}` 'x\"\ny"
    process = workplace.mlflow_run(project, "dataset_stats", data=value)
    assert process.wait(120) == 1  # `mlflow run` knows no other code
    assert not marker.exists()
    (run,) = workplace.runs()
    assert run.info.status == "FAILED"
    assert (run.data.tags["exit.code"], run.data.tags["exit.status"]) == ("2", "FAILED")
    assert "/nope/$(touch" in run.data.tags["exit.reason"]
    # MLflow's own record of the parameter is quoted for the shell
    assert shlex.split(run.data.params["data"]) == [value]
