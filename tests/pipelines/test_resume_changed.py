"""A training that goes on although something has changed: only if that is wanted, and told."""

import shutil

import lance
import pytest
import torch
from tests.pipelines.test_resume import EPOCHS, STEPS, interrupted, resumed, signal_at

from priorwise.spectra.module import SpectraModule

#: pytest finds it by its name
__all__ = ["signal_at"]
CHANGED = "resume.changed"


@pytest.fixture
def stopped(workplace, signal_at, monkeypatch):
    """A training that was stopped in the middle of its second epoch, on tables of its own."""
    shutil.copytree(workplace.data, workplace.folder / "tables")
    workplace.data = workplace.folder / "tables"
    signal_at("training_step", STEPS + 3)
    run = interrupted(workplace, epochs=EPOCHS)
    monkeypatch.undo()
    return run


@pytest.fixture
def ended(workplace, monkeypatch):
    """A training that ended badly between its second and its third epoch."""
    epochs = iter(range(EPOCHS))

    def begin(self):
        if next(epochs) == 2:
            raise RuntimeError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(SpectraModule, "on_train_epoch_start", begin)
        with pytest.raises(RuntimeError):
            workplace.phase("bce_pretrain", epochs=EPOCHS)
    return workplace.run("bce_pretrain")


def groups_of(place, run):
    """What the optimizer of the last checkpoint used."""
    last = torch.load(place.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    return {group["name"]: group for group in last["optimizer_states"][0]["param_groups"]}


def append(table, rows=slice(0, 5)):
    """Append rows of a table to it."""
    have = lance.dataset(str(table)).to_table()
    lance.write_dataset(have.slice(rows.start, rows.stop), str(table), mode="append")


def test_the_rates_of_today_count(workplace, stopped):
    rates = {"encoder_lr": 0.0007, "linear_lr": 0.0005, "weight_decay": 0.25}
    done = workplace.phase("bce_pretrain", epochs=EPOCHS, resume=stopped.info.run_id, **rates)
    assert done.code == 2 and "allow_change=true" in done.err
    again = resumed(workplace, stopped, epochs=EPOCHS, allow_change="true", **rates)
    groups = groups_of(workplace, again)
    assert groups["encoder"]["lr"] == 0.0007 and groups["heads"]["lr"] == 0.0005
    assert {group["weight_decay"] for group in groups.values()} == {0.25}
    assert "encoder_lr 0.003 -> 0.0007" in again.data.tags[CHANGED]
    assert "weight_decay 0.001 -> 0.25" in again.data.tags[CHANGED]
    assert again.data.params["contract.changed.1"] == "encoder_lr, linear_lr, weight_decay"


def test_more_epochs_and_another_patience(workplace, stopped):
    changed = {"epochs": EPOCHS + 2, "patience": 9, "allow_change": "true"}
    again = resumed(workplace, stopped, **changed)
    assert again.data.metrics["epochs_run"] == EPOCHS + 2
    assert "epochs 4 -> 6; patience 4 -> 9" in again.data.tags[CHANGED]


def test_allowing_a_change_where_there_is_none_leaves_no_trace(workplace, stopped):
    again = resumed(workplace, stopped, epochs=EPOCHS, allow_change="true")
    assert CHANGED not in again.data.tags
    assert not any(name.startswith("contract.changed") for name in again.data.params)


@pytest.mark.parametrize("changed", [{"d_model": 24}, {"monitor": "train_loss"}])
def test_what_a_training_is_cannot_change(workplace, stopped, changed):
    ((name, value),) = changed.items()
    spec = {"epochs": EPOCHS, "resume": stopped.info.run_id, "allow_change": "true", **changed}
    done = workplace.phase("bce_pretrain", **spec)
    assert done.code == 2
    assert f"cannot go on with another {name}" in done.err and f"-> {value}" in done.err
    assert done.err.count("\n") == 1


def test_batches_of_another_size_begin_with_an_epoch(workplace, stopped):
    spec = {"epochs": EPOCHS, "allow_change": "true", "batch_size": 16}
    done = workplace.phase("bce_pretrain", resume=stopped.info.run_id, **spec)
    assert done.code == 2
    assert "in the middle of an epoch, batch_size" in done.err.splitlines()[-1]


def test_batches_of_another_size_after_the_end_of_an_epoch(workplace, ended):
    again = resumed(workplace, ended, epochs=EPOCHS, allow_change="true", batch_size=16)
    steps = [m.step for m in workplace.client.get_metric_history(ended.info.run_id, "train_loss")]
    assert steps == list(range(EPOCHS))
    last = torch.load(workplace.artifact(again, "checkpoints/last.ckpt"), weights_only=True)
    assert last["global_step"] == 2 * STEPS + 2 * 15  # 240 rows


def test_other_rows(workplace, ended):
    """A model of both tables is no base for a prior of either."""
    shutil.copytree(workplace.data, workplace.folder / "tables")
    workplace.data = workplace.folder / "tables"
    append(workplace.data / "train_data")
    spec = {"epochs": EPOCHS, "resume": ended.info.run_id}
    done = workplace.phase("bce_pretrain", **spec)
    assert done.code == 2
    assert "data training " in done.err and "(version 1) -> " in done.err
    assert "(version 2)" in done.err
    assert "lance.dataset(TABLE, version=1).restore()" in done.err
    again = resumed(workplace, ended, epochs=EPOCHS, allow_change="true")
    assert "data training" in again.data.tags[CHANGED]
    assert again.data.params["contract.changed.1"] == "data"
    workplace.client.delete_tag(ended.info.run_id, CHANGED)
    for spec in ({}, {"bce_run": ended.info.run_id}):
        done = workplace.phase("estimate_prior", **spec)
        assert done.code == 3
        assert "was resumed on other training data" in done.err


def test_another_version_of_the_same_rows_is_the_same_data(workplace, stopped):
    table = lance.dataset(str(workplace.data / "train_data"))
    append(workplace.data / "train_data")
    lance.dataset(str(workplace.data / "train_data"), version=table.version).restore()
    again = resumed(workplace, stopped, epochs=EPOCHS)
    assert CHANGED not in again.data.tags
