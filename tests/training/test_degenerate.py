"""A training whose model is degenerate is stopped, and says so."""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

from priorwise.errors import Interrupted
from priorwise.learn.recorder import NullRecorder
from priorwise.learn.stopping import StopRequest
from priorwise.pu.selection import degenerate
from priorwise.training.fit import FitPlan, fit

OK, BAD = 0.4, 0.995


class Scripted(pl.LightningModule):
    """Logs one q after another; epoch e has the e-th of them."""

    def __init__(self, script, losses=()):
        super().__init__()
        self.weight = torch.nn.Linear(1, 1)
        self.script = script
        self.losses = losses
        self.seen = []

    def training_step(self, batch, batch_idx):
        return self.weight(batch).mean()

    def validation_step(self, batch, batch_idx):
        pass

    def on_validation_epoch_end(self):
        self.seen.append(self.current_epoch)
        self.log("q", self.script[self.current_epoch])
        self.log("val_recall", 1 - self.current_epoch / 100)
        if self.losses:
            self.log("val_loss", self.losses[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def judge(metrics):
    return degenerate(metrics["q"], 1.0)


def train(script, folder, degenerate_patience=2, stop=None, losses=(), **plan):
    module = Scripted(script, losses)
    rows = DataLoader(torch.ones(4, 1), batch_size=2)
    settings = {
        "epochs": len(script),
        "patience": 100,
        "monitor": "val_recall",
        "devices": 1,
        "folder": folder,
        "degenerate": judge,
        "degenerate_patience": degenerate_patience,
    }
    plan = FitPlan(**(settings | plan))
    return fit(module, rows, rows, plan, NullRecorder(), stop or StopRequest()), module.seen


@pytest.mark.parametrize(
    ("script", "losses", "epochs"),
    [
        ([0.0] * 5 + [OK], [6, 5, 4, 3, 2, 1], 6),  # the loss falls: on its way
        ([0.0] * 6, [6, 5, 5, 5, 5, 5], 4),  # it does not fall any more
        ([BAD] * 6, [6, 5, 4, 3, 2, 1], 2),  # calling all rows positive is no way
    ],
)
def test_few_positives_at_first_are_allowed_while_the_loss_falls(tmp_path, script, losses, epochs):
    _, seen = train(script, tmp_path, 2, losses=losses)
    assert len(seen) == epochs


@pytest.mark.parametrize(
    ("script", "patience", "epochs"),
    [
        ([BAD] * 6, 2, 2),
        ([OK, BAD, BAD, BAD, OK], 3, 4),
        ([BAD, OK, BAD, OK, BAD, OK], 2, 6),  # never in a row
        ([BAD] * 6, 0, 6),  # never stopped
        ([BAD] * 3, 5, 3),  # fewer epochs than that
        ([0.001] * 6, 1, 1),
        ([float("nan")] * 4, 1, 4),  # no reason
    ],
)
def test_stops_after_so_many_in_a_row(tmp_path, capsys, script, patience, epochs):
    result, seen = train(script, tmp_path, patience)
    assert seen == list(range(epochs)) and result.epochs == epochs
    stopped = epochs < len(script)
    said = [line for line in capsys.readouterr().err.splitlines() if "degenerate" in line]
    assert len(said) == stopped and bool(result.degenerate) == stopped
    if stopped:
        assert f"{patience} epochs in a row" in result.degenerate
        assert result.degenerate in said[0] and "degenerate_patience=0" in said[0]
    assert result.best.exists() and result.last.exists()


def test_the_reason_is_that_of_the_last_epoch(tmp_path):
    result, _ = train([BAD, 0.99, 0.99], tmp_path)
    assert result.degenerate.startswith("q = 0.9900 > .98: nearly every row is called positive")
    assert result.degenerate.endswith("(2 epochs in a row, the last one epoch 2)")


def test_without_a_judge_nothing_is_degenerate(tmp_path):
    result, seen = train([BAD] * 4, tmp_path, 1, degenerate=None)
    assert len(seen) == 4 and result.degenerate == ""


def test_the_count_survives_a_resume(tmp_path, monkeypatch):
    """Stopped in epoch 2, after two bad epochs: the third is the last."""
    stop, original = StopRequest(), Scripted.training_step

    def step(self, batch, batch_idx):
        if self.current_epoch == 2:
            stop.handle(15)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(Scripted, "training_step", step)
    with pytest.raises(Interrupted):
        train([BAD] * 8, tmp_path, 3, stop)
    monkeypatch.undo()
    last = tmp_path / "checkpoints" / "last.ckpt"
    result, seen = train([BAD] * 8, tmp_path, 3, resume_from=last)
    assert seen == [2]
    assert "3 epochs in a row, the last one epoch 3" in result.degenerate


@pytest.mark.parametrize("why", [{"degenerate_patience": 2}, {"patience": 2}])
def test_a_resume_after_the_stop_trains_no_more(tmp_path, why):
    """As when the process was stopped after the last epoch, before the run was complete."""
    settings = {"degenerate_patience": 0} | why
    first, seen = train([BAD] * 6, tmp_path, **settings)
    assert len(seen) < 6
    again, seen = train([BAD] * 6, tmp_path, **settings, resume_from=first.last)
    assert seen == [] and again.degenerate == first.degenerate
    assert again.best == first.best and again.best_metrics == first.best_metrics


RANK = """
import os, sys
from pathlib import Path

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from priorwise.learn.recorder import NullRecorder
from priorwise.learn.stopping import StopRequest
from priorwise.training.fit import FitPlan, fit

{module}

rank = int(os.environ.get("LOCAL_RANK", 0))
def judge(metrics):
    return "of rank 1" if rank == 1 else None

module, rows = Scripted([0.4] * 6), DataLoader(torch.ones(4, 1), batch_size=2)
folder = Path(sys.argv[1])
plan = FitPlan(6, 9, "val_recall", 2, folder, degenerate=judge, degenerate_patience=2)
fit(module, rows, rows, plan, NullRecorder(), StopRequest())
(folder / f"rank_{{rank}}").write_text(str(module.seen))
"""


@pytest.mark.slow
def test_ranks_stop_together(tmp_path):
    """Even if one alone wants to: the other would wait for it for ever."""
    script = tmp_path / "rank.py"
    script.write_text(RANK.format(module=inspect.getsource(Scripted)))
    source = Path(inspect.getsourcefile(fit)).parents[2]
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"rank_{rank}").read_text() for rank in (0, 1)] == ["[0, 1]"] * 2
    assert done.stderr.count("training stops") == 1
