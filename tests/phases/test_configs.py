"""The recipes in configs/: the guide's values are the defaults, and every recipe can be used."""

import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.desk import Recipe

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
#: the recipe that holds the defaults of each pipeline
REFERENCES = {
    name: yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    for name in ("guide", "rna")
}

#: hyperparameters of shared/seeds/model-training-guide.txt, typed off its tables and commands
FROM_THE_GUIDE = {
    "d_model": 128,
    "n_layers": 2,
    "dropout": 0.3,
    "encoder_lr": 5e-6,
    "linear_lr": 1e-5,
    "batch_size": 256,
    "weight_decay": 1e-3,
    "instrument_embedding_dim": 16,
    "epochs": 30,
    "monitor": "val_recall",
    "patience": 10,
}
#: values of shared/seeds/genesis-rna-training-improvements.txt, typed off its text
FROM_THE_SEED = {
    "lr_scheduler_type": "cosine",
    "min_lr_ratio": 0.1,
    "use_focal_loss_for_pairs": True,
    "focal_alpha": 0.75,
    "focal_gamma": 2.0,
    "mlm_loss_weight": 1.0,
    "structure_loss_weight": 0.8,
    "pair_loss_weight": 1.5,
    "grad_clip": 1.0,
}
#: the same for one T4
FOR_A_T4 = {"batch_size": 32, "fp16": True, "num_workers": 2, "warmup_steps": 500}
FOR_A_T4 |= {"learning_rate": 2e-4, "use_ast": True, "ast_target_activation": 0.4, "num_epochs": 10}
#: sections of the recipe that each phase reads
SECTIONS = {
    "simulate": ("simulate",),
    "ingest": ("ingest",),
    "bce_pretrain": ("training", "bce_pretrain"),
    "estimate_prior": ("estimate_prior",),
    "nnpu_train": ("training", "nnpu_train"),
    "select_threshold": ("select_threshold",),
    "evaluate": ("evaluate",),
    "promote": ("promote",),
    "predict": ("predict",),
    "score": ("score",),
    "import_checkpoint": ("import_checkpoint",),
    "rna_prepare": ("rna_prepare",),
    "rna_pretrain": ("rna_pretrain",),
    "rna_evaluate": ("rna_evaluate",),
    "rna_sweep": ("rna_sweep",),
}
#: parameters that a phase cannot do without
NEEDED = {
    "ingest": ["--inputs=run.mzML"],
    "predict": [f"--model={'0' * 32}"],
    "score": ["--inputs=run.mzML"],
    "import_checkpoint": ["--checkpoint=best.ckpt"],
}
#: said on the command line: where a phase works, how fast, and the run at hand
ELSEWHERE = {
    *("data", "data_val", "test_1", "test_2", "test_3", "table"),
    *("polarity", "polarities", "bce_run", "model"),
    *("inputs", "library", "dataset_id", "split", "checkpoint", "name"),
    *("action", "version"),
    *("num_workers", "devices", "num_nodes", "strategy"),
    *("seed", "config", "out", "resume", "allow_change"),
}


def reference(phase):
    return "rna" if phase.startswith("rna_") else "guide"


def config_class(phase):
    return import_module(f"priorwise.phases.{phase}").Config


def effective(phase, recipe):
    return parse(phase, config_class(phase), Recipe(recipe), NEEDED.get(phase, []))


@pytest.mark.parametrize("phase", SECTIONS)
def test_the_reference_holds_the_default_of_every_how_parameter(phase):
    recipe = REFERENCES[reference(phase)]
    stated = {k: v for name in SECTIONS[phase] for k, v in recipe.get(name, {}).items()}
    defaults = {f.name: f.default for f in fields(config_class(phase)) if f.name not in ELSEWHERE}
    assert stated == defaults


@pytest.mark.parametrize("name", REFERENCES)
def test_the_reference_has_no_other_section(name):
    wanted = {n for phase, names in SECTIONS.items() if reference(phase) == name for n in names}
    assert set(REFERENCES[name]) == wanted


@pytest.mark.parametrize("phase", ["bce_pretrain", "nnpu_train"])
def test_defaults_are_the_values_in_the_guide(phase):
    config = effective(phase, "")
    assert {name: getattr(config, name) for name in FROM_THE_GUIDE} == FROM_THE_GUIDE


def test_defaults_are_the_values_in_the_seed():
    config = effective("rna_pretrain", "")
    assert {name: getattr(config, name) for name in FROM_THE_SEED} == FROM_THE_SEED


def test_t4_yaml_has_the_seeds_values():
    config = effective("rna_pretrain", str(ROOT / "configs" / "train_t4_optimized.yaml"))
    wanted = FROM_THE_SEED | FOR_A_T4
    assert {name: getattr(config, name) for name in wanted} == wanted


def test_flags_override_the_t4_recipe():
    recipe = Recipe(str(ROOT / "configs" / "train_t4_optimized.yaml"))
    config = parse("rna_pretrain", config_class("rna_pretrain"), recipe, ["--num_epochs=1"])
    assert (config.num_epochs, config.batch_size) == (1, 32)


def test_the_guide_trains_with_the_published_risk_and_estimates_by_e1():
    assert effective("nnpu_train", "").scenario == "published"
    assert effective("estimate_prior", "").estimator == "e1"


@pytest.mark.parametrize("phase", SECTIONS)
def test_the_reference_changes_nothing(phase):
    path = str(ROOT / "configs" / f"{reference(phase)}.yaml")
    with_recipe, without = vars(effective(phase, path)).copy(), vars(effective(phase, ""))
    assert with_recipe.pop("config") == path
    assert with_recipe == {k: v for k, v in without.items() if k != "config"}


@pytest.mark.parametrize("phase", SECTIONS)
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_phase_accepts_every_recipe(path, phase):
    effective(phase, str(path))  # refuses unknown sections, unknown keys and bad values


def test_recommended_yaml_says_what_it_is_for():
    path = str(ROOT / "configs" / "recommended.yaml")
    assert effective("bce_pretrain", path).monitor == "val_loss"
    final = effective("nnpu_train", path)
    assert (final.scenario, final.monitor) == ("censoring", "proxy_f1")
    assert (final.d_model, final.encoder_lr) == (128, 5e-6)  # the rest stays the guide's


def test_a_key_that_no_phase_knows_is_refused(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("training:\n  learning_rate: 0.1\n")
    with pytest.raises(BadInput, match="learning_rate"):
        effective("nnpu_train", str(recipe))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_first_line_is_the_command(path):
    first = path.read_text().splitlines()[0]
    assert re.match(r"# (mlflow run \. -e \w+|make demo)", first)
    assert f"config=configs/{path.name}" in first


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_key_has_a_comment(path):
    bare = [
        line
        for line in path.read_text().splitlines()
        if re.match(r"\s+\w+:", line) and not re.search(r"\s# \S", line)
    ]
    assert bare == []
