"""A spool and its run compared by metric and step, on a real store."""

import random

import pytest
from mlflow.entities import Metric, RunTag

from priorwise.tracking.recorder import MlflowRecorder
from priorwise.tracking.replay import missing, send
from priorwise.tracking.spool import Spool, read_spool


class Nowhere:
    """A sender of a server that is away."""

    def put(self, metrics, tags=()):
        pass


class NoHistory:
    def epoch(self, metrics, step):
        pass


@pytest.fixture
def spooled(runs, tmp_path):
    """What a training recorded whose server never answered."""
    run_id = runs.client.create_run(runs.experiment_id).info.run_id
    spool = Spool(tmp_path / "spool.csv", run_id, "")
    recorder = MlflowRecorder(Nowhere(), NoHistory(), spool)
    for step in range(2000):
        recorder.step({"loss": step / 7}, step)
    recorder.epoch({"recall": float("nan"), "q": float("inf"), "f": 1e-300}, 0)
    recorder.epoch({"recall": 0.5, "q": float("-inf"), "f": -0.0}, 1)
    spool.close()
    return read_spool(spool.path)


def history(runs, run_id, name):
    found = runs.client.get_metric_history(run_id, name)
    return sorted((m.step, m.value, m.timestamp) for m in found)


def recorded(spooled, name):
    return sorted((m.step, m.value, m.timestamp) for m in spooled.metrics if m.key == name)


def assert_all_there(runs, spooled):
    for name in ("loss", "recall", "f"):
        assert history(runs, spooled.run_id, name) == recorded(spooled, name)
    data = runs.client.get_run(spooled.run_id).data
    assert data.tags["nonfinite.recall"] == "nan at step 0"
    assert data.tags["nonfinite.q"] == "-inf at step 1"
    assert "q" not in data.metrics and data.metrics["recall"] == 0.5


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_whatever_the_server_knows_the_rest_is_sent_once(runs, spooled, share):
    known = [m for m in spooled.metrics if random.Random(1).random() < share]
    for k in range(0, len(known), 1000):
        runs.client.log_batch(spooled.run_id, metrics=known[k : k + 1000])
    rows = missing(runs.client, spooled)
    assert rows.known == len(known)
    assert len(rows.metrics) == len(spooled.metrics) - len(known)
    send(runs.client, spooled.run_id, rows)
    assert_all_there(runs, spooled)
    again = missing(runs.client, spooled)
    assert (again.metrics, again.tags, again.known) == ([], [], len(spooled.metrics))


def test_one_place_at_another_time_is_not_sent_again(runs, spooled):
    """A training that was taken up records a step anew; the first record stays."""
    first = [Metric(m.key, m.value, m.timestamp - 5000, m.step) for m in spooled.metrics[:500]]
    runs.client.log_batch(spooled.run_id, metrics=first, tags=[RunTag("other", "x")])
    rows = missing(runs.client, spooled)
    assert rows.known == 500
    send(runs.client, spooled.run_id, rows)
    steps = [step for step, _, _ in history(runs, spooled.run_id, "loss")]
    assert steps == list(range(2000))


def test_a_clock_that_jumps_back_changes_no_value(runs, tmp_path):
    run_id = runs.client.create_run(runs.experiment_id).info.run_id
    spool = Spool(tmp_path / "spool.csv", run_id, "")
    spool.write([Metric("m", step / 3, 10_000_000 - 1000 * step, step) for step in range(50)])
    spool.close()
    send(runs.client, run_id, missing(runs.client, read_spool(spool.path)))
    found = sorted((m.step, m.value) for m in runs.client.get_metric_history(run_id, "m"))
    assert found == [(step, step / 3) for step in range(50)]
    assert runs.client.get_run(run_id).data.metrics["m"] == 49 / 3
