"""Real processes that are told to stop, or killed, in the middle of a training."""

import signal
import time

import psutil
import pytest
from tests.pipelines.test_resume import assert_same, left_by

MANY = {"epochs": 40, "patience": 1000}
#: seconds for a start on a busy machine, and for an orderly end
START, END = 120, 30


def wait_for(condition, seconds, what):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


def all_ended(processes):
    return not any(p.is_running() and p.status() != "zombie" for p in processes)


@pytest.fixture
def training(workplace, project):
    """Start a training; give it back in its third epoch, and leave no process behind."""
    family = []

    def start(how, **parameters):
        process = how(project, "bce_pretrain", **{**MANY, **parameters})
        family.append(psutil.Process(process.pid))
        wait_for(
            lambda: "epoch 3/" in workplace.stderr or process.poll() is not None, START, "training"
        )
        assert process.poll() is None, workplace.stderr
        family.extend(family[0].children(recursive=True))
        return process

    start.family = family
    yield start
    for process in family:
        if process.is_running():
            process.kill()


def test_sigterm_then_resume_in_another_process(workplace, training):
    process = training(workplace.script)
    process.send_signal(signal.SIGTERM)
    assert process.wait(END) == 143
    assert workplace.stderr.splitlines()[-1] == (
        "priorwise bce_pretrain: stopped (received SIGTERM)"
    )
    (run,) = workplace.runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["exit.code"] == "143"
    assert run.data.tags["exit.status"] == "KILLED"
    assert "complete" not in run.data.tags
    assert workplace.artifact(run, "checkpoints/last.ckpt").exists()
    assert len(workplace.artifact(run, "history.csv").read_text().splitlines()) < 40

    done = workplace.phase("bce_pretrain", resume=run.info.run_id, **MANY)
    assert done.code == 0, done.err
    again = workplace.client.get_run(run.info.run_id)
    assert again.info.status == "FINISHED" and again.data.tags["complete"] == "true"
    history = workplace.client.get_metric_history(run.info.run_id, "val_loss")
    assert [metric.step for metric in history] == list(range(40))

    assert workplace.phase("bce_pretrain", **MANY).code == 0
    assert_same(left_by(workplace, again), left_by(workplace, workplace.runs("bce_pretrain")[0]))


def test_sigterm_to_the_runner_stops_the_script(workplace, training):
    process = training(workplace.mlflow_run)
    _, *scripts = training.family
    assert any("bce_pretrain.py" in " ".join(script.cmdline()) for script in scripts)
    process.terminate()
    process.wait(END)
    wait_for(lambda: all_ended(scripts), 15, "the end")
    (run,) = workplace.runs()
    assert run.info.status == "KILLED"
    assert run.data.tags["exit.code"] == "143"
    assert "mlflow run" in run.data.tags["exit.reason"]
    assert workplace.artifact(run, "checkpoints/last.ckpt").exists()


def test_sigkill_is_never_taken_for_complete(workplace, training):
    process = training(workplace.script)
    process.kill()
    process.wait(END)
    (run,) = workplace.runs()
    assert run.info.status == "RUNNING" and "complete" not in run.data.tags
    run_id = run.info.run_id
    for phase, spec in (("estimate_prior", {}), ("estimate_prior", {"bce_run": run_id})):
        done = workplace.phase(phase, **spec)
        assert done.code == 3, done.err
        # the first phase to come finds that nobody works on it any more
        assert workplace.client.get_run(run_id).info.status == "KILLED"
        assert run_id in done.err and "status KILLED" in done.err
    done = workplace.phase("nnpu_train", polarities="positive", prior_pos="0.4", init_from=run_id)
    assert done.code == 3
    assert run_id in done.err and "status KILLED" in done.err
    # it can be taken up again, from its working folder
    done = workplace.phase("bce_pretrain", resume=run_id, **MANY)
    assert done.code == 0, done.err
    assert workplace.client.get_run(run_id).data.tags["complete"] == "true"
    history = workplace.artifact(run, "history.csv").read_text()
    assert [line.split(",")[0] for line in history.splitlines()] == ["epoch", *map(str, range(40))]
    assert workplace.phase("estimate_prior").code == 0
