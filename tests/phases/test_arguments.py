"""From a command line and a recipe to a configuration: who wins, and what is refused."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from priorwise.errors import BadInput
from priorwise.phases.arguments import pairs, parse
from priorwise.phases.bce_pretrain import BcePretrain
from priorwise.phases.data import SimulateConfig
from priorwise.phases.desk import Recipe
from priorwise.phases.estimate_prior import EstimatePrior
from priorwise.phases.main import Main
from priorwise.phases.nnpu_train import NnpuTrain

CONFIGS = {
    "bce_pretrain": BcePretrain,
    "estimate_prior": EstimatePrior,
    "nnpu_train": NnpuTrain,
    "simulate": SimulateConfig,
    "main": Main,
}


def recipe(folder: Path, text: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return Recipe(str(path))


def config(phase: str, *given: str, recipe: Recipe | None = None):
    return parse(phase, CONFIGS[phase], recipe or Recipe(), given)


def said(phase: str, *given: str, recipe: Recipe | None = None) -> str:
    """The one line of a refusal."""
    with pytest.raises(BadInput) as caught:
        config(phase, *given, recipe=recipe)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    assert "class '" not in line, "Python's own words are no help to a user"
    return line


# --- who wins -----------------------------------------------------------------------------------


def test_flag_over_recipe_over_dataclass(tmp_path):
    made = recipe(
        tmp_path,
        "training:\n  epochs: 5\n  patience: 4\n  batch_size: 64\n"
        "bce_pretrain:\n  epochs: 7\n  monitor: val_loss\n",
    )
    found = config("bce_pretrain", "--patience=3", recipe=made)
    assert found.patience == 3  # the flag
    assert found.epochs == 7  # the phase's section over `training`
    assert found.batch_size == 64  # `training`
    assert found.monitor == "val_loss"
    assert found.d_model == 128  # the dataclass
    assert found.config == made.path
    assert config("nnpu_train", recipe=made).epochs == 5
    assert config("nnpu_train", recipe=made).monitor == "val_recall"


def test_the_last_of_two_equal_flags_wins():
    assert config("bce_pretrain", "--epochs=3", "--epochs=4").epochs == 4


def test_auto_is_not_given(tmp_path):
    made = recipe(tmp_path, "bce_pretrain:\n  epochs: 7\n  patience: auto\n")
    found = config("bce_pretrain", "--epochs=auto", "--batch_size", "auto", recipe=made)
    assert (found.epochs, found.patience, found.batch_size) == (7, 10, 256)
    assert config("main", "--seed=auto").seed is None


@pytest.mark.parametrize("phase", ["bce_pretrain", "estimate_prior", "simulate", "main"])
def test_what_a_phase_writes_stays_on_this_machine(tmp_path, phase):
    """A path `s3:/bucket/key` would be made beside the project, and nobody would look there."""
    line = said(phase, "--out=s3://bucket/key")
    assert line == "parameter out: s3://bucket/key (expected a path on this machine)"
    made = recipe(tmp_path, f"{phase}:\n  out: s3://bucket/key\n")
    assert said(phase, recipe=made).startswith(f"{made.path}, {phase}: parameter out: s3://")
    assert config(phase, "--out=here").out == "here"


def test_training_section_is_for_trainings_only(tmp_path):
    made = recipe(tmp_path, "training:\n  epochs: 5\n")
    assert config("estimate_prior", recipe=made).min_labelled == 30


@pytest.mark.parametrize("phase", CONFIGS)
def test_every_phase_runs_without_any_parameter(phase):
    assert config(phase) == CONFIGS[phase]()


@pytest.mark.parametrize(("spelling", "name"), [("1", "positive"), ("0", "negative")])
def test_both_spellings_of_a_polarity(tmp_path, spelling, name):
    assert config("bce_pretrain", f"--polarity={spelling}").polarity == name
    assert config("bce_pretrain", "--polarity", name).polarity == name
    made = recipe(tmp_path, f"bce_pretrain:\n  polarity: {spelling}\n")
    assert config("bce_pretrain", recipe=made).polarity == name


def test_values_of_each_type(tmp_path):
    made = recipe(
        tmp_path,
        "nnpu_train:\n  override: true\n  encoder_lr: 1e-3\n  linear_lr: 0.001\n"
        "  prior_pos: 0.454\n  devices: 0\n  init_from: none\n",
    )
    found = config("nnpu_train", recipe=made)
    assert found.override is True
    assert found.encoder_lr == found.linear_lr == 0.001
    assert (found.prior_pos, found.init_from, found.devices) == ("0.454", "none", 0)
    assert config("nnpu_train", "--override=false", recipe=made).override is False


# --- values that are refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "flag", "line"),
    [
        ("bce_pretrain", "encoder_lr=abc", "expected a finite number. Got value: abc"),
        ("bce_pretrain", "encoder_lr=", "expected a finite number"),
        ("bce_pretrain", "encoder_lr=nan", "nan"),
        ("bce_pretrain", "linear_lr=inf", "inf"),
        ("bce_pretrain", "encoder_lr=-inf", "inf"),
        ("bce_pretrain", "encoder_lr=1e309", "inf (expected a finite number in (0, 1])"),
        ("bce_pretrain", "encoder_lr=0", "0.0 (expected a finite number in (0, 1])"),
        ("bce_pretrain", "encoder_lr=-1e-3", "-0.001 (expected a finite number in (0, 1])"),
        ("bce_pretrain", "weight_decay=nan", "nan"),
        ("bce_pretrain", "dropout=1", "1.0 (expected a finite number in [0, 0.99])"),
        ("bce_pretrain", "pos_weight=0", "0.0 (expected"),
        ("bce_pretrain", "epochs=0", "0 (expected an integer >= 1)"),
        ("bce_pretrain", "epochs=-3", "-3 (expected an integer >= 1)"),
        ("bce_pretrain", "epochs=1.5", "expected an integer. Got value: 1.5"),
        ("bce_pretrain", "epochs=true", "expected an integer"),
        ("bce_pretrain", "epochs=ten", "expected an integer. Got value: ten"),
        ("bce_pretrain", "epochs=[3]", "expected an integer"),
        ("bce_pretrain", "seed=-1", "-1 (expected an integer >= 0)"),
        ("bce_pretrain", "d_model=100", "100 (expected a multiple of 8: 8 heads)"),
        ("bce_pretrain", "polarity=2", "'positive', 'negative', '1', '0'"),
        ("bce_pretrain", "polarity=both", "'positive', 'negative', '1', '0'"),
        ("bce_pretrain", "monitor=foo", "foo (expected one of val_recall, val_loss"),
        ("bce_pretrain", "monitor=proxy_f1", "(expected one of"),  # phase 3 knows it, phase 1 not
        ("nnpu_train", "monitor=foo", "foo (expected one of val_recall"),
        ("nnpu_train", "init_from=xyz", "'xyz' (expected auto, positive, negative, none or a run"),
        ("nnpu_train", "init_from=" + "A" * 32, "(expected auto, positive"),
        ("nnpu_train", "polarities=2", "2 (expected positive, negative, 1 or 0)"),
        ("nnpu_train", "polarities=positive,1", "names one twice"),
        ("nnpu_train", "loss=foo", "['logistic', 'sigmoid']"),
        ("nnpu_train", "scenario=seed", "['published', 'censoring', 'case_control']"),
        ("estimate_prior", "min_labelled=0", "0 (expected an integer >= 1)"),
        ("estimate_prior", "estimator=magic", "Got value: magic"),
        ("simulate", "pi_pos=2", "2.0: expected a fraction"),
        ("simulate", "n_train=3", "3: expected a whole number"),
        ("main", "scenarios=foo", "'foo' (expected some of published, censoring, case_control)"),
        ("main", "polarities=", "(expected positive, negative, 1 or 0)"),
    ],
)
def test_refused_in_one_line_that_names_the_parameter(phase, flag, line):
    text = said(phase, f"--{flag}")
    name = flag.partition("=")[0]
    assert name in text or name == "polarities" and "polarity" in text
    assert line in text
    two = said(phase, f"--{name}", flag.partition("=")[2])
    assert two == text


@pytest.mark.parametrize(
    ("phase", "flag"),
    [("main", "seed=x"), ("nnpu_train", "override=1"), ("bce_pretrain", "data.x=1")],
)
def test_refused_in_words_a_user_understands(phase, flag):
    text = said(phase, f"--{flag}")
    assert len(text) < 120


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--epoch=3"], "unknown parameter --epoch=3"),  # no abbreviations
        (["--lr", "0.1"], "unknown parameter --lr=0.1"),
        (["--print_config=x"], "unknown parameter --print_config=x"),
        (["--=3"], "unknown parameter"),
        (["--help=x"], "help"),
        (["--epochs"], "epochs: no value given"),
        (["epochs=3"], "unexpected argument 'epochs=3' (expected --name=value)"),
        (["-e", "3"], "unexpected argument '-e' (expected --name=value)"),
        (["--epochs=3", "stray"], "unexpected argument 'stray'"),
    ],
)
def test_unknown_parameters(given, line):
    assert line in said("bce_pretrain", *given)


def test_unknown_parameter_of_value_auto(tmp_path):
    said("bce_pretrain", "--epoch=auto")
    made = recipe(tmp_path, "bce_pretrain:\n  epoch: auto\n")
    said("bce_pretrain", recipe=made)


# --- recipes ------------------------------------------------------------------------------------


def bad_recipe(folder: Path, text: str | bytes) -> str:
    path = folder / "recipe.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as caught:
        Recipe(str(path))
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"config {path}: ")
    return line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("training: [", "is not YAML"),
        ("a: b: c", "is not YAML"),
        ("\ttraining:\n", "is not YAML"),
        (b"\xff\xfe\x00training", "is not YAML"),
        ("", "expected sections named after phases"),
        ("- training\n", "expected sections named after phases"),
        ("30\n", "expected sections named after phases"),
        ("epochs: 30\n", "unknown section 'epochs' (expected training, simulate"),
        ("trainning:\n  epochs: 3\n", "unknown section 'trainning'"),
        ("1:\n  epochs: 3\n", "unknown section 1"),
        ("training:\n", "section training must hold `parameter: value` lines"),
        ("training: 3\n", "section training must hold `parameter: value` lines"),
        ("training:\n- epochs\n", "section training must hold `parameter: value` lines"),
    ],
)
def test_recipe_that_is_none(tmp_path, text, line):
    assert line in bad_recipe(tmp_path, text)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {marker}']",
        "!!python/object/new:subprocess.Popen [['touch', '{marker}']]",
        "!!python/name:os.system ''",
        "!!python/tuple [1, 2]",
        "!custom x",
    ],
)
def test_recipe_with_a_python_tag_runs_nothing(tmp_path, tag):
    marker = tmp_path / "marker"
    line = bad_recipe(tmp_path, f"training:\n  epochs: {tag.format(marker=marker)}\n")
    assert "is not YAML (could not determine a constructor for the tag" in line
    assert not marker.exists()


def test_recipe_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(BadInput, match=f"config {path}: cannot be read \\(.+\\)"):
            Recipe(str(path))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("epochs: 1.5", "epochs"),
        ("epochs: ten", "epochs"),
        ("encoder_lr: .nan", "encoder_lr"),
        ("encoder_lr: .inf", "encoder_lr"),
        ("polarity: 2", "polarity"),
        ("nonsense: 3", "nonsense"),
        ("epochs:", "epochs"),
        ("epochs: [3]", "epochs"),
        ("epochs: {a: 3}", "epochs"),
        ("override: true", "override"),  # a parameter of another phase
    ],
)
def test_bad_value_in_a_recipe_names_parameter_and_file(tmp_path, text, name):
    made = recipe(tmp_path, f"bce_pretrain:\n  {text}\n")
    line = said("bce_pretrain", recipe=made)
    assert name in line
    assert made.path in line


@pytest.mark.parametrize("value", ["", "null", "[1, 2]", "{a: b}", "2026-01-31"])
def test_text_parameter_in_a_recipe_must_be_text(tmp_path, value):
    made = recipe(tmp_path, f"bce_pretrain:\n  data: {value}\n")
    said("bce_pretrain", recipe=made)


def test_recipe_of_the_project_fits_every_phase():
    root = Path(__file__).resolve().parents[2]
    for path in sorted((root / "configs").glob("*.yaml")):
        for phase in CONFIGS:
            assert config(phase, recipe=Recipe(str(path))).config == str(path)


# --- values arrive as they are ------------------------------------------------------------------

ODD = [
    "a; touch x",
    "$(touch x) `touch x` ${HOME} $HOME",
    'it\'s "quoted"',
    "two\nlines",
    "--leading",
    "--leading=3",
    "-",
    "---",
    "@/etc/passwd",
    " spaces ",
    "",
    "null",
    "true",
    "12",
    "1e3",
    "[1, 2]",
    "{a: b}",
    "a: b",
    "!!python/tuple [1]",
    "${oc.env:HOME}",
    "%s %(data)s {data}",
    "back\\slash\\n",
    "a=b=c",
    "ünïcode 质谱",
    "s3://bucket/a b/c?d=e&f#g",
]


@pytest.mark.parametrize("value", ODD)
def test_text_arrives_as_it_is(value):
    assert config("bce_pretrain", f"--data={value}").data == value
    assert config("bce_pretrain", "--data", value).data == value
    assert config("nnpu_train", f"--prior_pos={value}").prior_pos == value


def test_two_dashes_alone_are_refused_rather_than_lost():
    with pytest.raises(BadInput, match="parameter data"):  # argparse takes them for a mark
        config("bce_pretrain", "--data=--")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=30))
def test_any_text_arrives_as_it_is(value):
    assume(value != "--")
    expected = BcePretrain().data if value == "auto" else value
    assert config("bce_pretrain", f"--data={value}").data == expected
    assert config("bce_pretrain", "--data", value).data == expected


def test_pairs():
    assert pairs(["--a=1", "--b", "--c=2", "--d=x=y", "--e-f", "g"]) == [
        ("a", "1"),
        ("b", "--c=2"),
        ("d", "x=y"),
        ("e_f", "g"),
    ]


@pytest.mark.parametrize("value", ["9" * 5000 + "e-3", "x" * 5000])
def test_a_long_value_is_not_repeated_whole(value):
    """Found by `make fuzz`: a refusal was as long as what it refused."""
    for word in (f"--encoder_lr={value}", f"--{value}=1", value):
        line = said("bce_pretrain", word)
        assert len(line) < 600 and ("characters)" in line or "inf" in line)


def test_of_many_unknown_parameters_some_are_named():
    line = said("bce_pretrain", *(f"--nope_{k}=1" for k in range(900)))
    assert "--nope_4=1 and 895 more" in line and len(line) < 600
