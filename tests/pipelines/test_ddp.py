"""Two processes on one machine (gloo): one run, the same sums, an orderly end."""

import math
import signal
import sys

import pandas as pd
import psutil
import pytest
import torch
from tests.pipelines.test_resume import assert_same, left_by
from tests.pipelines.test_signals import all_ended, wait_for
from tests.pipelines.tracking_server import free_port
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


@pytest.fixture
def nodes(workplace, project):
    """Start the same training as two nodes would, of one process each."""
    processes = []

    def start(**parameters):
        shared = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
            "PRIORWISE_JOB": str(workplace.folder / "shared" / "job.json"),
        }
        given = {"devices": 1, "num_nodes": 2, **parameters}
        script = [sys.executable, "-P", project / "entry_points" / "bce_pretrain.py"]
        for rank in (1, 0):  # the one that waits first; the other one's output is kept
            variables = {**shared, "NODE_RANK": str(rank), "PYTHONPATH": str(project / "src")}
            command = [*script, *workplace.flags("bce_pretrain", given)]
            processes.append(workplace.start(command, variables))
        return list(reversed(processes))

    yield start
    for process in processes:
        process.kill()


def test_two_nodes_are_as_good_as_two_processes_of_one(workplace, started, nodes):
    first, second = nodes(epochs=2)
    assert first.wait(SECONDS) == 0, workplace.stderr
    assert second.wait(30) == 0
    (run,) = workplace.runs()
    assert run.data.tags["complete"] == "true"
    assert not list((workplace.folder / "shared").iterdir())  # the next job is another one
    assert started(epochs=2, strategy="ddp").wait(SECONDS) == 0, workplace.stderr
    other = workplace.run("bce_pretrain")
    assert other.data.tags["fingerprint"] == run.data.tags["fingerprint"]
    for name in ("train_loss", "val_loss", "val_recall", "q", "labelled_auc"):
        assert run.data.metrics[name] == pytest.approx(other.data.metrics[name], abs=1e-6)


def test_validation_is_the_same_on_one_and_on_two(workplace, started):
    """The same weights, judged by one process and by two: epochs of no learning."""
    still = {"epochs": 1, "encoder_lr": 1e-30, "linear_lr": 1e-30}
    assert started(**still).wait(SECONDS) == 0, workplace.stderr
    two = workplace.run("bce_pretrain").data.metrics
    assert workplace.phase("bce_pretrain", **still).code == 0
    one = workplace.run("bce_pretrain").data.metrics
    judged = {name for name in one if name.startswith("val_") or name in ("q", "labelled_auc")}
    assert {"val_loss", "val_recall", "q", "labelled_auc"} <= judged
    for name in judged:
        assert two[name] == pytest.approx(one[name], abs=1e-6), name


def test_a_node_that_nobody_told_of_the_job(workplace, project):
    for variables, said in (
        ({"NODE_RANK": "1"}, "NODE_RANK is 1 and PRIORWISE_JOB is not set"),
        ({"NODE_RANK": "0", "MASTER_ADDR": "here"}, "MASTER_PORT and PRIORWISE_JOB not set"),
    ):
        flags = workplace.flags("bce_pretrain", {"num_nodes": 2, "devices": 1})
        script = [sys.executable, "-P", project / "entry_points" / "bce_pretrain.py", *flags]
        process = workplace.start(script, {**variables, "PYTHONPATH": str(project / "src")})
        assert process.wait(SECONDS) == 2
        assert said in workplace.stderr


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
    wait_for(lambda: all_ended(ranks), 30, "end")
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
