"""Cases 107, 109 and 110: no value of a parameter is ever executed, changed or half understood.

What MLflow's command line makes of such values is in tests/pipelines/test_injection.py; here they
have arrived, at the real parser, and for the texts among them in the real phases.
"""

from dataclasses import fields
from importlib import import_module
from typing import get_type_hints

import pytest

from priorwise.cli import PHASES
from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.desk import Recipe

INJECTIONS = {
    "semicolon": "x; touch {marker}",
    "substitution": "$(touch {marker})",
    "backticks": "`touch {marker}`",
    "single quote": "x'; touch {marker}; '",
    "double quote": 'x"; touch {marker}; "',
    "newline": "x\ntouch {marker}\n",
    "ampersand": "x && touch {marker}",
    "pipe": "x | touch {marker}",
    "format": "{{0.__class__}} {{data}} %s %n ${{HOME}} $HOME",
    "python": "__import__('os').mkdir('{marker}')",
    "yaml": "!!python/object/apply:os.mkdir ['{marker}']",
    "yaml list": "[a, {{b: c}}]",
    "sql": "x' OR 1=1; DROP TABLE runs; --",
    "flag": "--nope=1",
    "long": "x" * 100_000,
    "controls": "x\r\t\x1b[31m\x07\x7f\u202e\u2028",
    "blanks": "   ",
    "umlaut": "größe µ 质谱",
}
#: what no number of the project can be
NUMBERS = ("abc", "", "nan", "inf", "-inf", "1e309", "-1e309", "-1", "0x10", "1_0", "9" * 5000)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A value may be taken for a path, and its folder made."""
    monkeypatch.chdir(tmp_path)


def config_of(phase: str):
    return import_module(f"priorwise.phases.{phase}").Config


def parameters() -> list[tuple[str, str]]:
    return [(phase, field.name) for phase in PHASES for field in fields(config_of(phase))]


PARAMETERS = parameters()
TEXTS = [(p, n) for p, n in PARAMETERS if get_type_hints(config_of(p))[n] is str]
NO_TEXTS = sorted(set(PARAMETERS) - set(TEXTS))


def outcome(phase: str, name: str, value: str):
    """The field as parsed, or the refusal."""
    try:
        return getattr(parse(phase, config_of(phase), Recipe(), [f"--{name}={value}"]), name)
    except BadInput as error:
        return error


def test_every_parameter_of_every_entry_point_is_tried():
    assert len(PARAMETERS) > 250 and len(TEXTS) > 100


@pytest.mark.parametrize("kind", INJECTIONS)
def test_a_value_arrives_as_it_is_or_is_refused(tmp_path, kind):
    """Each parameter, each kind: never executed, never changed, never another exception."""
    marker = tmp_path / "executed"
    value = INJECTIONS[kind].format(marker=marker)
    kept = 0
    for phase, name in PARAMETERS:
        found = outcome(phase, name, value)
        if isinstance(found, BadInput):
            assert found.exit_code == 2
        else:
            assert found == value, (phase, name)
            kept += 1
    assert kept > 40  # the paths among them take any text
    assert not marker.exists()


@pytest.mark.parametrize("text", ["x\0y", "x\udcff"], ids=["NUL", "no UTF-8"])
def test_what_is_no_text_is_refused_everywhere(text):
    for phase, name in PARAMETERS:
        found = outcome(phase, name, text)
        assert isinstance(found, BadInput) and name in str(found), (phase, name)


@pytest.mark.parametrize("value", NUMBERS, ids=range(len(NUMBERS)))
def test_no_number_of_any_entry_point_takes_nonsense(value):
    """A number that is accepted is the finite number that was written, and a sane one."""
    for phase, name in NO_TEXTS:
        found = outcome(phase, name, value)
        if not isinstance(found, BadInput):
            assert found is None or (value in ("-1", "1_0", "0x10") and found == int(value, 0)), (
                phase,
                name,
                found,
            )


#: parameters that name something which has to be there; a value that is not is refused in time
LOOKED_UP = [
    ("main", "data"),
    ("main", "polarities"),
    ("main", "scenarios"),
    ("main", "test_1"),
    ("simulate", "backgrounds"),
    ("ingest", "inputs"),
    ("ingest", "library"),
    ("ingest", "split"),
    ("dataset_stats", "data"),
    ("dataset_stats", "table"),
    ("bce_pretrain", "data"),
    ("bce_pretrain", "data_val"),
    ("bce_pretrain", "resume"),
    ("bce_pretrain", "config"),
    ("predict", "model"),
    ("predict", "data"),
    ("estimate_prior", "bce_run"),
    ("estimate_prior", "test_1"),
    ("nnpu_train", "prior_pos"),
    ("nnpu_train", "init_from"),
    ("nnpu_train", "resume"),
    ("select_threshold", "model"),
    ("evaluate", "model"),
    ("promote", "version"),
    ("promote", "name"),
    ("score", "model"),
    ("score", "inputs"),
    ("import_checkpoint", "checkpoint"),
    ("rna_prepare", "inputs"),
    ("rna_pretrain", "data"),
    ("rna_pretrain", "resume"),
    ("rna_ensemble", "runs"),
    ("rna_evaluate", "model"),
    ("rna_sweep", "data"),
    ("plot_metrics", "metrics_file"),
    ("plot_metrics", "run"),
    ("doctor", "data"),
]


@pytest.mark.parametrize(("phase", "name"), LOOKED_UP)
def test_the_phase_itself_refuses_it_in_one_line(workplace, phase, name):
    """All at once, in the real phase: no execution, one line, no run left open."""
    marker = workplace.folder / "executed"
    kinds = ("semicolon", "substitution", "backticks", "single quote", "newline", "sql", "python")
    value = " ".join(INJECTIONS[kind].format(marker=marker) for kind in kinds)
    given = {"source": "files"} if name == "inputs" and phase == "rna_prepare" else {}
    if name == "library":
        given = {"inputs": "tests"}
    done = workplace.phase(phase, **{**given, name: value})
    assert done.code in (2, 3), done.out
    said = done.err.strip().splitlines()
    assert len([line for line in said if line.startswith("priorwise ")]) == 1, done.err
    assert "Traceback" not in done.err
    assert not marker.exists()
    assert {run.info.status for run in workplace.runs()} <= {"FAILED"}
    assert workplace.client.search_experiments()  # the tables of the store are still there


@pytest.mark.parametrize("phase", PHASES)
def test_an_undeclared_parameter_is_refused(workplace, phase):
    done = workplace.phase(phase, nope="$(touch executed)")
    assert done.code == 2 and "unknown parameter --nope" in done.err


@pytest.mark.parametrize("phase", ["score", "rna_prepare", "promote"])
def test_through_the_real_runner(workplace, project, phase):
    """`mlflow run` itself, with one value that holds every kind of quote."""
    marker = workplace.folder / "executed"
    value = f"/nope/$(touch {marker});`touch {marker}` 'x\"\ny && touch {marker}"
    name = "name" if phase == "promote" else "inputs"
    given = {"source": "files"} if phase == "rna_prepare" else {}
    process = workplace.mlflow_run(project, phase, **given, **{name: value})
    assert process.wait(180) == 1
    assert not marker.exists()
    (run,) = workplace.runs()
    assert (run.info.status, run.data.tags["exit.code"]) == ("FAILED", "2")
