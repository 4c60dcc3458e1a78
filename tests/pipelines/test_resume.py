"""An interrupted training, resumed, leaves bit by bit what an undisturbed one leaves."""

import os
import random
import shutil
import signal

import pandas as pd
import pytest
import torch
from tests.pipelines.workplace import Workplace

from priorwise.spectra.module import SpectraModule

EPOCHS, STEPS = 4, 8  # of 240 rows of positive mode, in batches of 32
#: steps in the middle of an epoch
MIDDLE = sorted(random.Random(7).sample([n for n in range(EPOCHS * STEPS) if n % STEPS], 5))


@pytest.fixture
def signal_at(monkeypatch):
    """Have the process receive a signal in the n-th call of a method of the module."""

    def arm(method, n, signum=signal.SIGTERM):
        original = getattr(SpectraModule, method)
        calls = iter(range(10**6))

        def called(self, *args):
            if next(calls) == n:
                os.kill(os.getpid(), signum)
            return original(self, *args)

        monkeypatch.setattr(SpectraModule, method, called)

    yield arm
    monkeypatch.undo()


def left_by(place, run):
    """What a finished training left: history, weights of the last epoch, the best checkpoint."""
    last = torch.load(place.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    best = torch.load(place.checkpoint(run), weights_only=True)
    return {
        "history": place.artifact(run, "history.csv").read_text(),
        "best": place.checkpoint(run).name,
        "metrics": dict(run.data.metrics),
        "steps": steps_of(place, run),
        "size": place.artifact(run, "checkpoints/last.ckpt").stat().st_size,
        "last weights": last["state_dict"],
        "best weights": best["state_dict"],
    }


def steps_of(place, run):
    """Losses recorded within epochs, each once."""
    recorded = place.client.get_metric_history(run.info.run_id, "train_loss_step")
    return sorted((metric.step, metric.value) for metric in recorded)


def assert_same(found, expected):
    for name in ("history", "best", "metrics", "steps"):
        assert found[name] == expected[name], name
    for which in ("last weights", "best weights"):
        assert found[which].keys() == expected[which].keys()
        for key, value in expected[which].items():
            assert torch.equal(found[which][key], value), (which, key)


@pytest.fixture(scope="module")
def undisturbed(empty_store, simulated, tmp_path_factory):
    place = Workplace.copy_of(empty_store, tmp_path_factory.mktemp("whole") / "work", simulated)
    assert place.phase("bce_pretrain", epochs=EPOCHS).code == 0
    left = left_by(place, place.run("bce_pretrain"))
    assert len(left["history"].splitlines()) == 1 + EPOCHS
    assert [step for step, _ in left["steps"]] == list(range(3, EPOCHS * STEPS + 1, 3))
    return left


def interrupted(place, phase="bce_pretrain", **parameters):
    """The run of a phase that a signal ended."""
    done = place.phase(phase, **parameters)
    assert done.code == 143, done.err
    run = place.run(phase)
    assert run.info.status == "KILLED"
    assert run.data.tags["exit.code"] == "143"
    assert "SIGTERM" in run.data.tags["exit.reason"]
    assert "complete" not in run.data.tags
    assert place.artifact(run, "checkpoints/last.ckpt").exists()
    return run


def resumed(place, run, phase="bce_pretrain", **parameters):
    """The same run, after a resume that went well."""
    done = place.phase(phase, resume=run.info.run_id, **parameters)
    assert done.code == 0, done.err
    again = place.client.get_run(run.info.run_id)
    assert again.info.status == "FINISHED"
    assert again.data.tags["complete"] == "true"
    assert again.data.tags["exit.code"] == "0"
    assert "exit.reason" not in again.data.tags
    newest = place.runs()[0]
    assert newest.data.tags["resumed_into"] == run.info.run_id
    return again


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("training_step", 0),
        ("training_step", 3),
        ("training_step", STEPS - 1),
        ("training_step", STEPS),
        ("training_step", 2 * STEPS + 4),
        ("training_step", EPOCHS * STEPS - 1),
        *(("training_step", step) for step in MIDDLE),
        ("validation_step", 0),
        ("validation_step", 3 * EPOCHS - 1),  # 90 rows: three batches an epoch
        ("on_validation_epoch_end", 1),
        ("on_validation_epoch_end", EPOCHS - 1),
        ("on_save_checkpoint", 2),
        ("on_train_epoch_start", 2),
    ],
)
def test_resumed_training_equals_an_undisturbed_one(
    workplace, undisturbed, signal_at, monkeypatch, method, call
):
    signal_at(method, call)
    run = interrupted(workplace, epochs=EPOCHS)
    monkeypatch.undo()
    again = resumed(workplace, run, epochs=EPOCHS)
    assert_same(left_by(workplace, again), undisturbed)
    for metric in ("train_loss", "val_loss"):
        steps = [m.step for m in workplace.client.get_metric_history(run.info.run_id, metric)]
        assert steps == list(range(EPOCHS))


def test_interrupted_twice(workplace, undisturbed, signal_at, monkeypatch):
    signal_at("training_step", 5)
    run = interrupted(workplace, epochs=EPOCHS)
    monkeypatch.undo()
    signal_at("training_step", 12)
    done = workplace.phase("bce_pretrain", epochs=EPOCHS, resume=run.info.run_id)
    assert done.code == 143
    monkeypatch.undo()
    assert_same(left_by(workplace, resumed(workplace, run, epochs=EPOCHS)), undisturbed)


@pytest.mark.parametrize("step", [STEPS + 3, 3 * STEPS + 2])
def test_resume_when_the_working_folder_is_gone(
    workplace, undisturbed, signal_at, monkeypatch, step
):
    signal_at("training_step", step)
    run = interrupted(workplace, epochs=EPOCHS)
    monkeypatch.undo()
    shutil.rmtree(workplace.folder / ".priorwise")
    elsewhere = workplace.folder / "elsewhere"
    again = resumed(workplace, run, epochs=EPOCHS, out=elsewhere)
    assert_same(left_by(workplace, again), undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("step", MIDDLE)
def test_loader_processes_change_nothing(workplace, undisturbed, signal_at, monkeypatch, step):
    """Batches assembled elsewhere come in the same order, also after a resume within an epoch."""
    before, after = ((0, 2), (2, 0), (2, 2))[step % 3]
    signal_at("training_step", step)
    run = interrupted(workplace, epochs=EPOCHS, num_workers=before)
    monkeypatch.undo()
    again = resumed(workplace, run, epochs=EPOCHS, num_workers=after)
    assert_same(left_by(workplace, again), undisturbed)


def test_sigint(workplace, monkeypatch):
    original = SpectraModule.training_step

    def step(self, batch, batch_idx):
        os.kill(os.getpid(), signal.SIGINT)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(SpectraModule, "training_step", step)
    done = workplace.phase("bce_pretrain")
    assert done.code == 130, done.err
    (run,) = workplace.runs()
    assert run.info.status == "KILLED" and run.data.tags["exit.code"] == "130"


def test_a_second_signal_does_not_cut_off_the_saving(workplace, signal_at, monkeypatch):
    from priorwise.tracking.runs import RunTrack

    upload = RunTrack.artifact

    def slow_upload(self, path, folder=None):
        os.kill(os.getpid(), signal.SIGTERM)
        return upload(self, path, folder)

    monkeypatch.setattr(RunTrack, "artifact", slow_upload)
    signal_at("training_step", 3)
    interrupted(workplace)


def test_changed_checkpoint_is_not_resumed_from(workplace, signal_at, monkeypatch):
    signal_at("training_step", 3)
    run = interrupted(workplace)
    monkeypatch.undo()
    shutil.rmtree(workplace.folder / ".priorwise")
    path = workplace.artifact(run, "checkpoints/last.ckpt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = workplace.phase("bce_pretrain", resume=run.info.run_id)
    assert done.code == 2
    assert "last.ckpt" in done.err and run.info.run_id in done.err


def test_each_row_once_an_epoch(workplace, signal_at, monkeypatch):
    """Counted where batches are trained on, over an interruption in the middle of an epoch."""
    seen, original = [], SpectraModule.training_step

    def step(self, batch, batch_idx):
        seen.extend((self.current_epoch, float(value)) for value in batch.precursor_mz)
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SpectraModule, "training_step", step)
        original_step = SpectraModule.training_step
        calls = iter(range(100))

        def stopping(self, batch, batch_idx):
            if next(calls) == STEPS + 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return original_step(self, batch, batch_idx)

        patch.setattr(SpectraModule, "training_step", stopping)
        run = interrupted(workplace, epochs=2)
        resumed(workplace, run, epochs=2)
    by_epoch = [sorted(value for at, value in seen if at == epoch) for epoch in (0, 1)]
    assert len(by_epoch[0]) == 240 and by_epoch[0] == by_epoch[1]


def test_nnpu_training_is_resumed_with_its_priors(after_phase_2, signal_at, monkeypatch):
    place, scenario = after_phase_2, {"scenario": "censoring", "epochs": 2}
    assert place.phase("nnpu_train", **scenario).code == 0
    expected = left_by(place, place.run("nnpu_train"))
    signal_at("training_step", 17)  # 400 rows: 13 steps an epoch
    run = interrupted(place, "nnpu_train", **scenario)
    monkeypatch.undo()
    again = resumed(place, run, "nnpu_train", **scenario)
    assert_same(left_by(place, again), expected)
    assert pd.read_csv(place.artifact(again, "history.csv"))["clamp_rate"].notna().all()


def test_a_stop_before_training_leaves_nothing_to_resume_from(workplace, monkeypatch):
    from priorwise.phases import bce_pretrain

    def prepare(config, desk):
        os.kill(os.getpid(), signal.SIGTERM)
        return bce_pretrain.Plan  # not reached

    monkeypatch.setattr(bce_pretrain, "prepare", prepare)
    done = workplace.phase("bce_pretrain")
    assert done.code == 143
    (run,) = workplace.runs()
    assert run.info.status == "KILLED"


def test_stop_while_modules_are_imported_reaches_the_run_of_the_runner(workplace, monkeypatch):
    from priorwise import cli

    run = workplace.client.create_run("0")
    workplace.environment = {"MLFLOW_RUN_ID": run.info.run_id}
    imported = cli.import_module

    def import_module(name):
        if name.endswith(".arguments"):
            os.kill(os.getpid(), signal.SIGTERM)
        return imported(name)

    monkeypatch.setattr(cli, "import_module", import_module)
    done = workplace.phase("bce_pretrain")
    assert done.code == 143
    (found,) = workplace.runs()
    assert found.info.status == "KILLED"
    assert found.data.tags["exit.code"] == "143"


def test_resume_of_a_complete_run_does_nothing(after_phase_2):
    run = after_phase_2.run("bce_pretrain", "positive")
    done = after_phase_2.phase("bce_pretrain", resume=run.info.run_id)
    assert done.code == 0
    assert "nothing to resume" in done.out
    again = after_phase_2.client.get_run(run.info.run_id)
    assert again.data.tags == run.data.tags
    assert again.info.end_time == run.info.end_time


@pytest.mark.parametrize(
    "parameter", [{"encoder_lr": 0.002}, {"seed": 5}, {"batch_size": 16}, {"epochs": 9}]
)
def test_resume_with_another_configuration_is_refused(workplace, signal_at, monkeypatch, parameter):
    signal_at("training_step", 1)
    run = interrupted(workplace)
    monkeypatch.undo()
    done = workplace.phase("bce_pretrain", resume=run.info.run_id, **parameter)
    assert done.code == 2
    assert run.info.run_id in done.err and "configuration" in done.err
    ((name, value),) = parameter.items()
    assert f"{name} " in done.err and f" -> {value}" in done.err
    assert workplace.client.get_run(run.info.run_id).info.status == "KILLED"


def test_resume_of_another_phase_or_of_nothing_is_refused(after_phase_2):
    other = after_phase_2.run("estimate_prior", "positive").info.run_id
    for run_id in (other, "0" * 32, "no-run"):
        done = after_phase_2.phase("bce_pretrain", resume=run_id)
        assert done.code == 2, done.err
        assert run_id in done.err
