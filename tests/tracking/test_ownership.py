"""One process a run, and what is known of processes that are gone."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest
from tests.tracking.test_runs import client, database, read, runs, track  # noqa: F401

from priorwise.errors import TrackingFailure
from priorwise.tracking.heartbeat import SILENT, TAG, Heart, Heartbeat
from priorwise.tracking.orphans import HOUR, close, judge, open_runs
from priorwise.tracking.runs import open_run

HOLDER = """
import sys
from priorwise.tracking.runs import open_run
with open_run("bce_pretrain") as track:
    print(track.run_id, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(runs, tmp_path):  # noqa: F811
    """Another process that owns a run; the process and the run's id."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


def mine(**changes):
    return dataclasses.replace(Heartbeat.now(), **changes)


def elsewhere(seconds):
    return mine(place="f" * 16, host="node7", at=time.time() - seconds)


def state(client, run_id):  # noqa: F811
    run = client.get_run(run_id)
    tags = {k: v for k, v in run.data.tags.items() if k != "resumed_into"}
    return run.info.status, run.info.end_time, tags, run.data.params, run.data.metrics


def test_heartbeat_says_who_works_on_a_run(runs):  # noqa: F811
    with open_run("simulate") as made:
        found = Heartbeat.read(read(made).data.tags[TAG])
        assert (found.pid, found.host) == (os.getpid(), os.uname().nodename)
        assert found.alive and found.is_mine and found.silence < 60


def test_heart_beats_until_it_is_stopped(track):  # noqa: F811
    heart = Heart(track.client, track.run_id, period=0.02)
    until = time.monotonic() + 20
    beats = set()
    while len(beats) < 3 and time.monotonic() < until:
        beats.add(read(track).data.tags.get(TAG))
    heart.stop()
    heart._thread.join(10)
    assert len(beats) >= 3 and not heart._thread.is_alive()


@pytest.mark.parametrize("how", ["resume", "runner"])
def test_second_process_is_refused_and_changes_nothing(runs, holder, monkeypatch, how):  # noqa: F811
    _, run_id = holder
    before = state(runs.client, run_id)
    if how == "runner":
        monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
        with pytest.raises(TrackingFailure, match=run_id), open_run("bce_pretrain"):
            raise AssertionError("it must not begin")
    else:
        with (
            pytest.raises(TrackingFailure, match=f"{run_id}: is being written by"),
            open_run("bce_pretrain") as second,
            second.continuing(run_id),
        ):
            raise AssertionError("it must not begin")
    assert state(runs.client, run_id) == before


def test_run_of_a_dead_process_can_be_taken_up(runs, holder):  # noqa: F811
    process, run_id = holder
    process.kill()
    process.wait()
    with open_run("bce_pretrain") as second, second.continuing(run_id):
        assert Heartbeat.read(read(second).data.tags[TAG]).is_mine
    assert runs.client.get_run(run_id).data.tags["complete"] == "true"


def test_process_of_another_machine_counts_until_it_is_silent(runs):  # noqa: F811
    for seconds, free in ((1, False), (SILENT + 1, True)):
        tags = {TAG: elsewhere(seconds).text}
        run_id = runs.client.create_run(runs.experiment_id, tags=tags).info.run_id
        with open_run("bce_pretrain") as second:
            if free:
                with second.continuing(run_id):
                    pass
                continue
            with (
                pytest.raises(TrackingFailure, match="node7, which gave a sign of life"),
                second.continuing(run_id),
            ):
                raise AssertionError("it must not begin")


@pytest.mark.parametrize(
    ("owner", "older_than", "waited", "orphan", "said"),
    [
        (mine(), 0, -1, False, "is alive"),
        (mine(born="1"), 0, -1, True, "is gone"),  # the process id is used again
        (mine(pid=2**22 + 1), 0, -1, True, "is gone"),
        (mine(place="f" * 16), 0, -1, False, "not to be seen from here"),
        (lambda: elsewhere(10 * HOUR), 0, -1, False, "silent for 10.0 h"),
        (lambda: elsewhere(10 * HOUR), 12 * HOUR, -1, False, "silent for 10.0 h"),
        (lambda: elsewhere(10 * HOUR), 9 * HOUR, -1, True, "silent for 10.0 h"),
        (mine(at=0.0), HOUR, -1, False, "is alive"),  # its clock is wrong, or its server away
        (mine(born=""), HOUR, -1, False, "not to be seen"),
        (None, HOUR, -1, False, "has no heartbeat"),
        (None, 0, 2 * HOUR, False, "`mlflow run` made it"),
        (None, HOUR, 2 * HOUR, True, "`mlflow run` made it"),
        (None, 3 * HOUR, 2 * HOUR, False, "`mlflow run` made it"),
    ],
    ids=range(13),
)
def test_who_is_an_orphan(owner, older_than, waited, orphan, said):
    # silence counts from now, not from when the cases were collected
    verdict = judge(owner() if callable(owner) else owner, older_than, waited)
    assert verdict.orphan == orphan and said in verdict.reason


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"pid": "x"}', "null"])
def test_a_heartbeat_that_is_none(text):
    assert Heartbeat.read(text) is None


def test_only_the_dead_are_closed(runs, holder):  # noqa: F811
    process, run_id = holder
    foreign = runs.client.create_run(runs.experiment_id).info.run_id
    with open_run("simulate") as first:
        assert first.close_orphans() == []
        process.kill()
        process.wait()
        assert [run.run_id for run in first.close_orphans()] == [run_id]
        assert first.close_orphans() == []
    run = runs.client.get_run(run_id)
    assert run.info.status == "KILLED" and "is gone" in run.data.tags["exit.reason"]
    assert "complete" not in run.data.tags
    assert runs.client.get_run(foreign).info.status == "RUNNING"


def test_an_orphan_that_was_taken_up_meanwhile_is_left(runs):  # noqa: F811
    tags = {TAG: mine(born="1").text}
    run_id = runs.client.create_run(runs.experiment_id, tags=tags).info.run_id
    (found,) = open_runs(runs.client, [runs.experiment_id])
    runs.client.set_tag(run_id, TAG, mine().text)
    assert not close(runs.client, found)
    assert runs.client.get_run(run_id).info.status == "RUNNING"
