"""SIGUSR1 of Slurm: the training writes its checkpoint, has its job start again, and goes on."""

import os
import signal
import sqlite3
import sys

import pytest
from tests.pipelines.test_resume import EPOCHS, STEPS, assert_same, left_by, signal_at, undisturbed
from tests.pipelines.test_signals import END, MANY, START, all_ended, training, wait_for
from tests.pipelines.workplace import BIN, ROOT, STORE

#: pytest finds them by their names
__all__ = ["signal_at", "training", "undisturbed"]

# says what it was asked, and how the runs stood then
SCONTROL = """\
#!{python}
import sqlite3, sys
runs = sqlite3.connect({store!r}).execute("select status from runs").fetchall()
print(*sys.argv[1:], *(status for status, in runs), file=open({log!r}, "a"))
sys.exit({code})
"""

# a process of its own: one forked from here would inherit Lance's locks without their threads
DYING = f"""\
import os, signal, sys
from priorwise import cli
from priorwise.spectra.module import SpectraModule
original = SpectraModule.training_step
def step(self, *args):
    if self.global_step == {STEPS + 2}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *args)
SpectraModule.training_step = step
sys.exit(cli._run("bce_pretrain", sys.argv[1:]))
"""


@pytest.fixture
def job(workplace):
    """Make the workplace a Slurm job, with a stand-in for Slurm; what that was asked."""
    log, scontrol = workplace.folder / "scontrol.log", workplace.folder / "bin" / "scontrol"
    scontrol.parent.mkdir()

    def start(code=0, restarts="0"):
        text = SCONTROL.format(
            python=sys.executable, store=str(workplace.folder / STORE), log=str(log), code=code
        )
        scontrol.write_text(text)
        scontrol.chmod(0o755)
        path = os.pathsep.join(map(str, (scontrol.parent, BIN, os.environ["PATH"])))
        workplace.environment = {
            "PATH": path,
            "SLURM_JOB_ID": "42",
            "SLURM_RESTART_COUNT": restarts,
            "SLURM_CLUSTER_NAME": "here",
        }
        return log

    return start


def test_a_requeued_job_goes_on_in_its_own_run(workplace, training, job):
    log = job()
    process = training(workplace.script)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(END) == 138
    # asked once, when the run had ended
    assert log.read_text() == "requeue 42 KILLED\n"
    (run,) = workplace.runs()
    assert run.info.status == "KILLED" and "complete" not in run.data.tags
    assert run.data.tags["requeued"] == run.data.tags["slurm.job"] == "here/42"
    assert run.data.tags["exit.code"] == "138" and "SIGUSR1" in run.data.tags["exit.reason"]
    assert workplace.artifact(run, "checkpoints/last.ckpt").exists()

    job(restarts="1")
    done = workplace.phase("bce_pretrain", **MANY)  # the same command line
    assert done.code == 0, done.err
    assert f"goes on in its run {run.info.run_id}" in done.out
    again = workplace.client.get_run(run.info.run_id)
    assert again.info.status == "FINISHED" and again.data.tags["complete"] == "true"
    newest = workplace.runs()[0]
    assert newest.data.tags["resumed_into"] == run.info.run_id
    assert "complete" not in newest.data.tags
    history = workplace.client.get_metric_history(run.info.run_id, "val_loss")
    assert [metric.step for metric in history] == list(range(40))

    workplace.environment = {}
    assert workplace.phase("bce_pretrain", **MANY).code == 0
    assert_same(left_by(workplace, again), left_by(workplace, workplace.runs("bce_pretrain")[0]))


def test_a_job_that_died_with_its_node_goes_on(workplace, undisturbed, job):
    """Killed without a word, after its first epoch; its run still says RUNNING."""
    job()
    command = [sys.executable, "-c", DYING, *workplace.flags("bce_pretrain", {"epochs": EPOCHS})]
    process = workplace.start(command, {"PYTHONPATH": str(ROOT / "src")})
    assert process.wait(START) == -signal.SIGKILL, workplace.stderr
    (run,) = workplace.runs()
    assert run.info.status == "RUNNING"
    job(restarts="1")
    done = workplace.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0, done.err
    again = workplace.client.get_run(run.info.run_id)
    found = left_by(workplace, again)
    # what was on its way to the server when it was killed
    lost = {name: undisturbed[name] for name in ("steps", "metrics")}
    assert_same({**found, **lost}, undisturbed)
    # once more: it is complete by now
    job(restarts="2")
    done = workplace.phase("bce_pretrain", epochs=EPOCHS)
    assert done.code == 0 and "nothing to resume" in done.out


def test_a_signal_to_all_processes_of_a_job_is_for_one(workplace, training, job):
    """As `scancel --full` sends it: those that assemble batches serve to the end of the step."""
    log = job()
    process = training(workplace.script, num_workers=2)
    _, *others = training.family
    assert len(others) >= 2
    for member in (*others, process):
        member.send_signal(signal.SIGUSR1)
    assert process.wait(END) == 138
    assert log.read_text() == "requeue 42 KILLED\n"
    assert workplace.stderr.splitlines()[-1] == (
        "priorwise bce_pretrain: stopped (received SIGUSR1)"
    )
    assert "Traceback" not in workplace.stderr
    wait_for(lambda: all_ended(others), END, "the end of all processes")


def test_a_job_that_cannot_be_requeued_says_so(workplace, signal_at, job):
    log = job(code=1)
    signal_at("training_step", 3, signal.SIGUSR1)
    done = workplace.phase("bce_pretrain")
    assert done.code == 138
    assert log.read_text() == "requeue 42 KILLED\n"
    assert "the job is not requeued (scontrol requeue 42: exit code 1" in done.err
    (run,) = workplace.runs()
    assert run.info.run_id in done.out


def test_outside_of_slurm_it_is_an_ordinary_stop(workplace, signal_at):
    signal_at("training_step", 3, signal.SIGUSR1)
    done = workplace.phase("bce_pretrain")
    assert done.code == 138
    (run,) = workplace.runs()
    assert run.info.status == "KILLED" and "requeued" not in run.data.tags
    assert f"resume={run.info.run_id}" in done.out


def test_another_job_and_a_first_start_begin_anew(workplace, signal_at, job, monkeypatch):
    job()
    signal_at("training_step", 3, signal.SIGUSR1)
    assert workplace.phase("bce_pretrain", epochs=1).code == 138
    monkeypatch.undo()
    job()
    assert workplace.phase("bce_pretrain", epochs=1).code == 0
    job(restarts="1")
    workplace.environment["SLURM_JOB_ID"] = "43"
    assert workplace.phase("bce_pretrain", epochs=1).code == 0
    with sqlite3.connect(workplace.folder / STORE) as store:
        said = store.execute("select count(*) from tags where key = 'resumed_into'").fetchone()
    store.close()
    assert said == (0,)
