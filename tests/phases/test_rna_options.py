"""Parameters of the RNA phases: each bad value is refused in one clear line."""

import math
from dataclasses import fields

import pytest

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.desk import Recipe
from priorwise.phases.rna_evaluate import RnaEvaluate
from priorwise.phases.rna_options import MONITORS, RnaPretrain
from priorwise.rna.network import RnaNetwork
from priorwise.training.fit import MINIMISED

#: words that a command line may hold: what is no number, no choice, or out of its range
NO_INTEGER = ["1.5", "many"]
NO_NUMBER = ["nan", "inf", ""]
BAD_SHARE = ["-0.1", "1.1", *NO_NUMBER]
BAD = {
    "max_samples": ["-1", *NO_INTEGER],
    "model_size": ["huge", "", "Small"],
    "pair_head": ["dense", ""],
    "positions": ["sinusoidal", ""],
    "max_len": ["2", "0", "-5", *NO_INTEGER],
    "dropout": ["1", "1.0", "-0.1", *NO_NUMBER],
    "pair_channels": ["0", "-8", *NO_INTEGER],
    "pair_dilations": ["", "0", "1,,2", "1;2", "-1", "1.5", "1,129", "one", "1,2,", "²"],
    "features": ["", "bpp,bpp", "turner2004,turner2004", "turner1999", "none,bpp", "turner2004,"],
    "teacher": ["", "bpp,bpp", "turner1999", "none,bpp", "turner2004,"],
    "teacher_loss_weight": ["-1", "1e7", *NO_NUMBER],
    "structure_input": ["half", ""],
    "num_epochs": ["0", "-1", *NO_INTEGER],
    "patience": ["0", "-1", *NO_INTEGER],
    "monitor": ["", "loss", "train_loss", "val_recall", "learning_rate"],
    "batch_size": ["0", "-1", *NO_INTEGER],
    "learning_rate": ["0", "-1e-4", "1.5", *NO_NUMBER],
    "weight_decay": BAD_SHARE,
    "lr_scheduler_type": ["step", "", "Cosine"],
    "warmup_steps": ["-1", *NO_INTEGER],
    "min_lr_ratio": BAD_SHARE,
    "grad_clip": ["0", "-1", "1e7", *NO_NUMBER],
    "ema_decay": ["1", "-0.1", *NO_NUMBER],
    "mlm_loss_weight": ["-1", "1e7", *NO_NUMBER],
    "structure_loss_weight": ["-1", "1e7", *NO_NUMBER],
    "pair_loss_weight": ["-1", "1e7", *NO_NUMBER],
    "use_focal_loss_for_pairs": ["2", "maybe", ""],
    "focal_alpha": BAD_SHARE,
    "focal_gamma": ["-1", "101", *NO_NUMBER],
    "focal_normalizer": ["pairs", ""],
    "use_ast": ["2", "maybe", ""],
    "ast_target_activation": ["0", "-0.1", "1.1", *NO_NUMBER],
    "fp16": ["2", "bf16", ""],
    "num_workers": ["-1", *NO_INTEGER],
    "pair_threshold": BAD_SHARE,
    "threshold": ["-0.1", "1.1", "nan", "best", ""],
    "decoding": ["mea", ""],
    "canonical_only": ["2", ""],
    "folding_weight": ["-0.1", "1.1", "nan", "best", ""],
    "noncanonical_penalty": ["-0.1", "1.1", "nan", "best", ""],
    "stem_weight": ["-0.1", "1.1", "nan", "best", ""],
    "log_system_metrics": ["2", ""],
    "allow_change": ["2", "maybe", ""],
    "seed": ["-1", *NO_INTEGER],
}
#: any text: whether such a table, partition, run, file or folder is there is seen later
TEXT = {"data", "train_partition", "val_partition", "resume", "config", "out"}
#: checked, but not by their type
TEXT_VALUES = {"features", "teacher", "threshold", "folding_weight"}
TEXT_VALUES |= {"noncanonical_penalty", "stem_weight"}
BAD_EVALUATE = {
    "partitions": ["", ",", " , "],
    "max_length": ["-1", *NO_INTEGER],
    "threshold": ["-0.1", "1.1", "nan", "best", ""],
    "rnafold": ["yes", "", "True", "1"],
    "resamples": ["0", "19", "-1", *NO_INTEGER],
    "seed": ["-1", *NO_INTEGER],
}


def said(phase, config, *given):
    """The one line of a refusal."""
    with pytest.raises(BadInput) as caught:
        parse(phase, config, Recipe(), given)
    line = str(caught.value)
    assert "\n" not in line and "class '" not in line and len(line) < 300
    return line


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(BAD))
def test_every_bad_value_of_rna_pretrain_is_named(name, value):
    line = said("rna_pretrain", RnaPretrain, f"--{name}={value}")
    assert line.startswith((f"{name}: ", f"parameter {name}: ")) and "expected" in line


@pytest.mark.parametrize(("name", "value"), cases(BAD_EVALUATE))
def test_every_bad_value_of_rna_evaluate_is_named(name, value):
    line = said("rna_evaluate", RnaEvaluate, f"--{name}={value}")
    assert line.startswith((f"{name}: ", f"parameter {name}: ")) and "expected" in line


def test_no_parameter_is_forgotten_here():
    assert {field.name for field in fields(RnaPretrain)} == set(BAD) | TEXT
    text = {"model", "data", "config", "out"}
    assert {field.name for field in fields(RnaEvaluate)} == set(BAD_EVALUATE) | text


@pytest.mark.parametrize("name", [n for n in BAD if n not in TEXT_VALUES])
def test_a_value_from_python_is_checked_too(name):
    """Benchmarks and notebooks make options without a command line."""
    types = {field.name: type(field.default) for field in fields(RnaPretrain)}
    if types[name] is float:
        with pytest.raises(BadInput, match=f"^{name}: "):
            RnaPretrain(**{name: math.nan})
    elif types[name] is int:
        with pytest.raises(BadInput, match=f"^{name}: "):
            RnaPretrain(**{name: -1})


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        (
            {"mlm_loss_weight": 0, "structure_loss_weight": 0, "pair_loss_weight": 0},
            "mlm_loss_weight, structure_loss_weight, pair_loss_weight: all are 0",
        ),
        ({"features": "bpp", "pair_head": "bilinear"}, "features: only pair_head=conv"),
        ({"teacher": "bpp", "pair_head": "bilinear"}, "teacher: only pair_head=conv"),
        ({"teacher": "bpp", "features": "bpp"}, "teacher: a network with features"),
        ({"val_partition": "TR0"}, "train_partition, val_partition: TR0, TR0"),
        ({"val_partition": "CUT"}, "train_partition, val_partition: TR0, CUT"),
        ({"train_partition": "CUT"}, "train_partition, val_partition: CUT, VL0"),
    ],
)
def test_values_that_do_not_go_together(parameters, what):
    given = [f"--{name}={value}" for name, value in parameters.items()]
    assert said("rna_pretrain", RnaPretrain, *given).startswith(what)


def test_an_unknown_parameter_is_refused_with_the_one_that_was_meant():
    line = said("rna_pretrain", RnaPretrain, "--learning_rat=0.1")
    assert "unknown parameter --learning_rat=0.1 (did you mean learning_rate?)" in line


def test_ends_of_the_ranges_are_good():
    config = parse(
        "rna_pretrain",
        RnaPretrain,
        Recipe(),
        [
            *("--max_len=3", "--dropout=0", "--ema_decay=0.9999", "--learning_rate=1"),
            *("--ast_target_activation=1", "--min_lr_ratio=1", "--focal_alpha=0"),
            *("--focal_gamma=0", "--pair_threshold=1", "--threshold=0.35", "--warmup_steps=0"),
            *("--pair_dilations=1, 128", "--features=langdon2018,turner2004"),
        ],
    )
    assert config.dilations == (1, 128)
    assert config.feature_sets == ("langdon2018", "turner2004")
    assert config.network()["n_features"] == 2 and config.threshold == "0.35"
    assert RnaPretrain(features="bpp").feature_sets == (
        "turner2004",
        "andronescu2007",
        "langdon2018",
    )
    assert RnaPretrain().feature_sets == ()
    assert RnaEvaluate(partitions="TS0, NEW,TS0,").names == ("TS0", "NEW")


def test_use_ast_can_be_switched_off_and_on():
    """Published: on whatever the command line says."""
    for said_, wanted in (("true", True), ("false", False)):
        assert (
            parse("rna_pretrain", RnaPretrain, Recipe(), [f"--use_ast={said_}"]).use_ast is wanted
        )


def test_flags_win_over_the_recipe(tmp_path):
    """Published: with a recipe all other flags were passed over."""
    path = tmp_path / "recipe.yaml"
    path.write_text("rna_pretrain:\n  num_epochs: 3\n  batch_size: 32\n")
    config = parse("rna_pretrain", RnaPretrain, Recipe(str(path)), ["--num_epochs=1"])
    assert (config.num_epochs, config.batch_size) == (1, 32)


def test_losses_are_monitors_that_get_smaller():
    for name in MONITORS:
        assert (name in MINIMISED) == ("loss" in name), name


def test_options_make_a_network():
    small = {"model_size": "tiny", "pair_channels": 4, "pair_dilations": "1,2"}
    for options in (RnaPretrain(**small), RnaPretrain(**small, pair_head="bilinear")):
        RnaNetwork(**options.network())
    one = RnaNetwork(**RnaPretrain(**small, features="bpp").network())
    assert one.pairs.given.in_features == 3 and one.pairs.folding is None
    taught = RnaNetwork(**RnaPretrain(**small, teacher="turner2004").network())
    assert taught.pairs.given is None and taught.pairs.folding is not None
