"""Phase 3 under each scenario: what enters the loss, what is logged, when it stops."""

import json
import math

import pandas as pd
import pytest

from priorwise.errors import BadInput
from priorwise.phases import bce_pretrain, nnpu_train
from priorwise.phases.nnpu_train import NnpuTrain
from priorwise.spectra.module import SpectraModule
from priorwise.training.fit import MINIMISED

#: pi and s of the priors, given as numbers
PRIORS = {"prior_pos": 0.454, "prior_neg": 0.285, "override": True}


def trained(place, phase="nnpu_train", **parameters):
    """The run, its history, and what was said."""
    done = place.phase(phase, **parameters)
    assert done.code == 0, done.err
    run = place.run(phase)
    assert run.data.tags["complete"] == "true"
    return run, pd.read_csv(place.artifact(run, "history.csv")), done


@pytest.mark.parametrize(
    "parameters",
    [
        {"scenario": "published"},
        {"scenario": "censoring", "monitor": "pu_auc"},
        {"scenario": "censoring", "censoring_form": "marginal", "loss": "sigmoid"},
        {"scenario": "case_control", "monitor": "q_gap", "epochs": 4},
        {"scenario": "censoring", "non_negative": False, "monitor": "nnpu_risk"},
    ],
    ids=lambda parameters: " ".join(map(str, parameters.values())),
)
def test_scenarios(after_phase_2, parameters):
    run, history, done = trained(after_phase_2, **{"epochs": 2, **PRIORS, **parameters})
    metrics, scenario = run.data.metrics, parameters["scenario"]
    record = json.loads(after_phase_2.artifact(run, "prior.json").read_text())
    for mode, pi in (("positive", 0.454), ("negative", 0.285)):
        s = metrics[f"prior.{mode}.s"]
        alpha = (pi - s) / (1 - s)
        used = alpha if scenario == "case_control" else pi
        assert metrics[f"prior.{mode}.pi"] == pi
        assert metrics[f"prior.{mode}.alpha"] == pytest.approx(alpha)
        assert metrics[f"prior.{mode}.loss"] == pytest.approx(used)
        assert record[mode]["loss"] == pytest.approx(used)
        over = run.data.tags.get(f"warning.over_predicts.{mode}", "")
        if scenario == "published":
            assert f"{pi:.4f}" in over and f"{alpha:.4f}" in over and over in done.out + done.err
        else:
            assert over == ""
        prior = "alpha" if scenario == "case_control" else "pi"
        assert history[f"{prior}.{mode}"].iloc[0] == pytest.approx(used)
    # whatever can be the monitor is logged, every epoch
    for name in nnpu_train.MONITORS:
        assert history[name].notna().all(), name
    assert (history["nnpu_risk"] == history["val_loss"]).all()
    if not parameters.get("non_negative", True):
        assert (history["clamp_rate"] == 0).all()
    monitor = parameters.get("monitor", "val_recall")
    best = history[monitor].min() if monitor in MINIMISED else history[monitor].max()
    assert history[monitor][int(metrics["best_epoch"])] == best
    for name in ("pu_auc", "q_gap", "nnpu_risk"):
        assert metrics[f"best.{name}"] == history[name][int(metrics["best_epoch"])]


def test_every_bce_monitor_is_logged(workplace):
    _, history, _ = trained(workplace, "bce_pretrain", epochs=1, monitor="labelled_auc")
    for name in bce_pretrain.MONITORS:
        assert history[name].notna().all(), name
    assert "pu_auc" not in history  # needs a prior


def test_monitors_that_are_better_when_smaller():
    assert {"nnpu_risk", "val_loss", "q_gap", "clamp_rate"} <= MINIMISED
    assert not {"pu_auc", "labelled_auc", "proxy_f1", "proxy_accuracy", "pu_f"} & MINIMISED


def test_settings_out_of_range_are_refused():
    for wrong in ({"degenerate_patience": -1}, {"monitor": "auc"}, {"monitor": "labelled_auc"}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            NnpuTrain(**wrong)


@pytest.fixture
def constant_scores(monkeypatch):
    """Every row gets the same score: the weights still have a gradient."""
    forward = SpectraModule.forward
    monkeypatch.setattr(SpectraModule, "forward", lambda self, batch: forward(self, batch) * 0 + 3)


@pytest.mark.parametrize("phase", ["bce_pretrain", "nnpu_train"])
def test_a_degenerate_training_stops_and_says_so(after_phase_2, constant_scores, phase):
    many = {"epochs": 9, "patience": 9, "degenerate_patience": 2}
    run, history, done = trained(after_phase_2, phase, **many)
    assert len(history) == 2
    for tag in ("warning.degenerate", "warning.degenerate_kept"):
        assert "the score is constant" in run.data.tags[tag]
    assert "2 epochs in a row" in run.data.tags["warning.degenerate"]
    [line] = [text for text in done.err.splitlines() if "training stops" in text]
    assert run.data.tags["warning.degenerate"] in line
    assert (history["score_spread"] == 0).all()


def test_a_degenerate_epoch_that_is_kept_is_warned_of(after_phase_2, constant_scores):
    run, history, done = trained(after_phase_2, epochs=2, degenerate_patience=0)
    assert len(history) == 2
    assert "warning.degenerate" not in run.data.tags
    assert "constant" in run.data.tags["warning.degenerate_kept"]
    assert "the kept epoch's model is degenerate" in done.out + done.err


def test_a_sound_training_has_no_such_tag(after_phase_2):
    run, history, _ = trained(after_phase_2, scenario="censoring", monitor="proxy_f1")
    assert len(history) == 4
    assert not [tag for tag in run.data.tags if tag.startswith("warning.degenerate")]
    assert math.isfinite(run.data.metrics["best.pu_auc"])
