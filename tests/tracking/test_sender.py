import threading
import time

import pytest
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    PERMISSION_DENIED,
    REQUEST_LIMIT_EXCEEDED,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from priorwise.learn.recorder import CsvHistory
from priorwise.tracking import sender as sender_module
from priorwise.tracking.recorder import MlflowRecorder, rows_of
from priorwise.tracking.sender import Sender
from priorwise.tracking.spool import Spool, read_spool


class Server:
    """Takes batches as slowly as told, and fails when told."""

    def __init__(self, seconds=0.0):
        self.seconds, self.batches, self.error = seconds, [], None
        self.open = threading.Event()
        self.open.set()

    def log_batch(self, run_id, metrics=(), tags=()):
        self.open.wait()
        time.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.batches.append((list(metrics), list(tags)))

    @property
    def steps(self):
        return [metric.step for metrics, _ in self.batches for metric in metrics]


def metric(step):
    return Metric("loss", 0.5, 0, step)


def threads_of(run_id):
    return [t for t in threading.enumerate() if t.name == f"sender of {run_id}"]


def test_everything_arrives_once_and_in_order():
    server = Server()
    sender = Sender(server, "run", period=0.01)
    for step in range(5000):
        sender.put([metric(step)])
    sender.flush()
    assert server.steps == list(range(5000))
    assert max(len(metrics) for metrics, _ in server.batches) <= 1000


def test_a_step_never_waits_for_the_server():
    server = Server()
    server.open.clear()  # hangs
    sender = Sender(server, "run", period=0.0)
    sender.put([metric(0)])
    time.sleep(0.05)
    for step in range(1, 2000):
        sender.put([metric(step)])
    assert server.steps == []  # we are here, and the server has not answered yet
    sender.flush(timeout=0.01)
    assert server.steps == []
    server.open.set()
    sender.flush()
    assert server.steps == list(range(2000))
    assert len(server.batches) == 3


def test_many_metrics_make_few_requests():
    server = Server()
    sender = Sender(server, "run", period=60)
    for step in range(900):
        sender.put([metric(step)])
    sender.flush()
    assert len(server.batches) <= 2 and server.steps == list(range(900))


def test_tags_go_along_at_most_a_hundred_at_once():
    server = Server()
    sender = Sender(server, "run", period=0.0)
    sender.put([], [RunTag(f"t{k}", "x") for k in range(250)])
    sender.flush()
    assert [len(tags) for _, tags in server.batches] == [100, 100, 50]


def test_a_failure_is_heard_of():
    server = Server()
    server.error = RuntimeError("no server")
    sender = Sender(server, "run", period=0.0)
    sender.put([metric(0)])
    with pytest.raises(RuntimeError, match="no server"):
        sender.flush()
    with pytest.raises(RuntimeError, match="no server"):
        sender.put([metric(1)])


def test_an_idle_sender_leaves_no_thread():
    server = Server()
    sender = Sender(server, "the idle one", period=0.01)
    server.open.clear()
    for _ in range(3):
        sender.put([metric(0)])
        (thread,) = threads_of("the idle one")
        server.open.set()
        sender.flush()
        thread.join(10)
        assert threads_of("the idle one") == []
        server.open.clear()
    sender.flush()  # nothing to deliver


def test_a_resumed_training_does_not_record_steps_twice(tmp_path):
    server = Server()
    sender = Sender(server, "run", period=0.0)
    known = {("train_loss_step", step) for step in (10, 20)}
    spool = Spool(tmp_path / "spool.csv", "run", "")
    recorder = MlflowRecorder(sender, CsvHistory(tmp_path / "history.csv"), spool, known)
    for step in (10, 20, 30):
        recorder.step({"train_loss_step": 1.0}, step)
    sender.flush()
    spool.close()
    assert server.steps == [30]
    assert [m.step for m in read_spool(tmp_path / "spool.csv").metrics] == [30]


def test_what_is_not_finite_becomes_a_tag():
    metrics, tags = rows_of({"a": float("inf"), "b": 1.0, "c": float("nan")}, 3)
    assert [(m.key, m.value, m.step) for m in metrics] == [("b", 1.0, 3)]
    assert {tag.key: tag.value for tag in tags} == {
        "nonfinite.a": "inf at step 3",
        "nonfinite.c": "nan at step 3",
    }


@pytest.mark.parametrize(
    ("code", "heals"),
    [
        (INTERNAL_ERROR, True),
        (TEMPORARILY_UNAVAILABLE, True),
        (REQUEST_LIMIT_EXCEEDED, True),
        (INVALID_PARAMETER_VALUE, False),
        (RESOURCE_DOES_NOT_EXIST, False),
        (PERMISSION_DENIED, False),
    ],
)
def test_what_heals_is_tried_again_and_what_does_not_is_told(code, heals):
    server = Server()
    server.error = MlflowException("no", code)
    sender = Sender(server, "run", period=0.0)
    sender.put([metric(0)])
    if not heals:
        with pytest.raises(MlflowException, match="no"):
            sender.flush(10)
        return
    assert not sender.flush(0.2)
    assert (sender.trouble, sender.waiting, server.steps) == ("no", 1, [])
    sender.put([metric(1)])
    server.error = None
    assert sender.flush(30)
    assert (sender.trouble, sender.waiting, server.steps) == ("", 0, [0, 1])


def test_a_server_that_is_silent_counts_as_away(monkeypatch):
    monkeypatch.setattr(sender_module, "SLOW", 0.05)
    server = Server()
    server.open.clear()
    sender = Sender(server, "run", period=0.0)
    sender.put([metric(0)])
    assert not sender.flush(0.2)
    assert "no answer" in sender.trouble
    server.open.set()
    assert sender.flush(30) and sender.trouble == ""


def test_a_stopped_sender_sends_nothing_more():
    server = Server()
    server.error = MlflowException("no", INTERNAL_ERROR)
    sender = Sender(server, "the stopped one", period=0.0)
    sender.put([metric(0)])
    sender.flush(0.1)
    sender.stop()
    for thread in threads_of("the stopped one"):
        thread.join(30)
    server.error = None
    assert threads_of("the stopped one") == [] and server.steps == []


def test_rows_are_on_disk_before_they_are_sent():
    order = []
    server = Server()
    sent = server.log_batch
    server.log_batch = lambda *args, **more: (order.append("sent"), sent(*args, **more))
    sender = Sender(server, "run", period=0.0, before=lambda: order.append("synced"))
    for step in range(3):
        sender.put([metric(step)])
        sender.flush()
    assert order == ["synced", "sent"] * 3
