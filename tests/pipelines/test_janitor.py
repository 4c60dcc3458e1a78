"""Runs of dead processes are closed, all others are left alone; and spools that fit no run."""

import dataclasses
import time

import pytest
from tests.pipelines.test_signals import MANY, START, wait_for

from priorwise.tracking.heartbeat import TAG, Heartbeat
from priorwise.tracking.orphans import HOUR


def made(place, owner=None, **tags):
    """A run that says RUNNING."""
    if owner is not None:
        tags[TAG] = owner.text
    return place.client.create_run("0", tags=tags).info.run_id


def status(place, run_id):
    return place.client.get_run(run_id).info.status


def sign(**changes):
    return dataclasses.replace(Heartbeat.now(), **changes)


def test_orphans_are_closed_and_the_others_are_listed(workplace):
    dead, alive = made(workplace, sign(born="1"), phase="bce_pretrain"), made(workplace, sign())
    foreign = made(workplace)
    silent = made(workplace, sign(place="f" * 16, at=time.time() - 30 * HOUR))
    runner = made(workplace, **{"mlflow.source.type": "PROJECT"})
    everything = {dead, alive, foreign, silent, runner}

    tried = workplace.phase("janitor", dry_run="true")
    assert tried.code == 0, tried.err
    assert f"{dead}  bce_pretrain  would be closed" in tried.out
    assert {status(workplace, run_id) for run_id in everything} == {"RUNNING"}

    done = workplace.phase("janitor")
    assert done.code == 0, done.err
    assert status(workplace, dead) == "KILLED"
    assert {status(workplace, run_id) for run_id in everything - {dead}} == {"RUNNING"}
    assert all(run_id in done.out for run_id in everything)
    run = workplace.run("janitor")
    assert (run.data.metrics["found"], run.data.metrics["closed"]) == (5, 1)
    assert dead in workplace.artifact(run, "runs.csv").read_text()
    closed = workplace.client.get_run(dead)
    assert "is gone" in closed.data.tags["exit.reason"]
    assert "complete" not in closed.data.tags and closed.info.end_time

    done = workplace.phase("janitor", older_than_hours=24)
    assert done.code == 0, done.err
    assert status(workplace, silent) == "KILLED"
    assert {status(workplace, run_id) for run_id in (alive, foreign, runner)} == {"RUNNING"}


def test_other_experiments_only_when_asked(workplace):
    other = workplace.client.create_experiment("other")
    run_id = workplace.client.create_run(other, tags={TAG: sign(born="1").text}).info.run_id
    assert workplace.phase("janitor").code == 0
    assert status(workplace, run_id) == "RUNNING"
    assert workplace.phase("janitor", all_experiments="true").code == 0
    assert status(workplace, run_id) == "KILLED"


@pytest.mark.parametrize("hours", ["-1", "nan", "soon"])
def test_an_age_that_is_none(workplace, hours):
    done = workplace.phase("janitor", older_than_hours=hours)
    assert done.code == 2 and "older_than_hours" in done.err


def test_a_living_training_is_neither_closed_nor_taken_over(workplace, project):
    process = workplace.script(project, "bce_pretrain", **MANY)
    try:
        wait_for(lambda: "epoch 3/" in workplace.stderr, START, "training")
        process.send_signal(19)  # SIGSTOP: it lives, and is silent
        (run,) = workplace.runs()
        for phase, parameters, code, said in (
            ("janitor", {"older_than_hours": "0.000001"}, 0, "is alive"),
            ("bce_pretrain", {**MANY, "resume": run.info.run_id}, 4, "is being written by"),
        ):
            done = workplace.phase(phase, **parameters)
            assert done.code == code, done.err
            assert run.info.run_id in done.out + done.err and said in done.out + done.err
        spool = workplace.folder / ".priorwise" / "runs" / run.info.run_id
        done = workplace.phase("sync_run", spool=spool)
        assert done.code == 4 and "is being written by" in done.err
        again = workplace.client.get_run(run.info.run_id)
        assert again.info.status == "RUNNING"
        assert "exit.reason" not in again.data.tags
    finally:
        process.kill()
        process.wait(20)
    done = workplace.phase("janitor")
    assert done.code == 0, done.err
    assert status(workplace, run.info.run_id) == "KILLED"
    done = workplace.phase("bce_pretrain", resume=run.info.run_id, **MANY)
    assert done.code == 0, done.err
    steps = workplace.client.get_metric_history(run.info.run_id, "train_loss_step")
    assert sorted({m.step for m in steps}) == sorted(m.step for m in steps)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "spool, run: neither given"),
        ({"spool": "a", "run": "b"}, "spool, run: both given"),
        ({"run": "0" * 32}, "cannot be read"),
        ({"spool": "nothing.csv"}, "nothing.csv: cannot be read"),
    ],
)
def test_spool_that_is_not_there(workplace, parameters, said):
    done = workplace.phase("sync_run", **parameters)
    assert done.code == 2
    assert said in done.err and done.err.count("\n") == 1


def test_spool_of_a_run_of_another_store_or_damaged(workplace, tmp_path):
    from priorwise.tracking.spool import Spool

    Spool(tmp_path / "spool.csv", "0" * 32, "http://elsewhere:5000").close()
    done = workplace.phase("sync_run", spool=tmp_path)
    assert done.code == 2
    assert "http://elsewhere:5000" in done.err and "0" * 32 in done.err
    content = (tmp_path / "spool.csv").read_text()
    (tmp_path / "spool.csv").write_text(content.replace("elsewhere", "elsewhera"))
    done = workplace.phase("sync_run", spool=tmp_path)
    assert done.code == 2 and "line 2 is damaged" in done.err
