"""Two processes on one machine (gloo): one run, the same sums, an orderly end."""

import math
import signal

import pandas as pd
import psutil
import pytest
import torch
from tests.pipelines.test_resume import assert_same, left_by
from tests.pipelines.test_signals import wait_for
from tests.pipelines.workplace import RECIPE

pytestmark = pytest.mark.slow
SECONDS = 180
STEPS = 15  # of 240 rows of positive mode, in batches of 8 on each of two


@pytest.fixture
def started(workplace, project):
    """Start a training of two processes, and leave none of them behind."""
    family = []

    def start(**parameters):
        process = workplace.script(project, "bce_pretrain", **{"devices": 2, **parameters})
        family.append(psutil.Process(process.pid))
        return process

    start.family = family
    yield start
    for process in [child for each in family for child in children(each)] + family:
        if process.is_running():
            process.kill()


def children(process):
    return process.children(recursive=True) if process.is_running() else []


def test_two_processes_make_one_run(workplace, started):
    assert started(epochs=2).wait(SECONDS) == 0, workplace.stderr
    (run,) = workplace.runs()
    assert run.info.status == "FINISHED" and run.data.tags["complete"] == "true"
    history = pd.read_csv(workplace.artifact(run, "history.csv"))
    assert list(history["epoch"]) == [0, 1]
    assert all(math.isfinite(value) for value in history.iloc[0])
    for metric in ("val_loss", "train_loss"):
        logged = workplace.client.get_metric_history(run.info.run_id, metric)
        assert [m.step for m in logged] == [0, 1]
    assert workplace.phase("estimate_prior").code in (0, 2)  # its checkpoint is an ordinary one


def test_batches_are_dealt_out(workplace, started):
    """Half the batch on each of two: the same gradients, so nearly the same losses.

    Dropout differs, so it is off.
    """
    recipe = workplace.folder / "recipe.yaml"
    recipe.write_text(RECIPE.read_text().replace("dropout: 0.1", "dropout: 0.0"))
    assert started(epochs=1, batch_size=16, config=recipe).wait(SECONDS) == 0, workplace.stderr
    two = workplace.run("bce_pretrain").data.metrics
    assert workplace.phase("bce_pretrain", epochs=1, batch_size=32, config=recipe).code == 0
    one = workplace.run("bce_pretrain").data.metrics
    for name in ("train_loss", "val_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-4)
    assert two["q"] == pytest.approx(one["q"], abs=0.03)


def test_sigterm_ends_both_and_a_resume_goes_on(workplace, started):
    many = {"epochs": 20, "patience": 1000, "batch_size": 8}
    process = started(**many)
    wait_for(
        lambda: "epoch 2/" in workplace.stderr or process.poll() is not None, SECONDS, "training"
    )
    assert process.poll() is None, workplace.stderr
    ranks = children(started.family[0])
    assert len(ranks) == 1
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    wait_for(lambda: not any(r.is_running() and r.status() != "zombie" for r in ranks), 30, "end")
    (run,) = workplace.runs()
    assert run.info.status == "KILLED" and run.data.tags["exit.code"] == "143"
    last = torch.load(workplace.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    progress = last["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]
    if 0 < progress["ready"] < STEPS:  # within an epoch the order depends on who shares it
        done = workplace.phase("bce_pretrain", resume=run.info.run_id, **many, devices=1)
        assert done.code == 2 and "world_size" in done.err, done.err

    assert started(resume=run.info.run_id, **many).wait(SECONDS) == 0, workplace.stderr
    again = workplace.client.get_run(run.info.run_id)
    assert again.data.tags["complete"] == "true"
    assert started(**many).wait(SECONDS) == 0, workplace.stderr
    assert_same(left_by(workplace, again), left_by(workplace, workplace.run("bce_pretrain")))
