"""A process that assembles batches is killed, as Linux does when memory is short."""

import os
import signal
import threading
import time

import psutil
from tests.pipelines.test_resume import EPOCHS, STEPS, assert_same, left_by, resumed, undisturbed

from priorwise.spectra.module import SpectraModule

#: pytest finds it by its name
__all__ = ["undisturbed"]


def kill_the_loaders():
    """SIGKILL this process's loader processes, once they are there.

    All of them: one that has nothing left to deliver would not be missed, and rightly so.
    """
    until = time.monotonic() + 60
    while time.monotonic() < until:
        children = psutil.Process().children(recursive=True)
        loaders = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
        for loader in loaders:
            os.kill(loader.pid, signal.SIGKILL)
        if loaders:
            return
        time.sleep(0.05)


def test_training_ends_with_one_line_and_goes_on_exactly(workplace, undisturbed, monkeypatch):
    original, steps = SpectraModule.training_step, iter(range(100))

    def step(self, batch, batch_idx):
        if next(steps) == STEPS:  # the second epoch begins
            killer = threading.Thread(target=kill_the_loaders)
            killer.start()
            killer.join()
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SpectraModule, "training_step", step)
        done = workplace.phase("bce_pretrain", epochs=EPOCHS, num_workers=2)
    assert done.code == 1
    said = done.err.splitlines()[-1]
    # PyTorch learns of it from a signal, when it looks, or when it fetches a batch
    assert said.startswith("priorwise bce_pretrain: a process that assembles batches ")
    assert any(how in said for how in ("is killed by signal", "exited unexpectedly", "is gone ("))
    assert "num_workers" in said and "Traceback" not in done.err
    run = workplace.run("bce_pretrain")
    assert run.info.status == "FAILED" and "complete" not in run.data.tags
    assert run.data.tags["exit.code"] == "1"
    assert f"resume={run.info.run_id}" in done.out
    again = resumed(workplace, run, epochs=EPOCHS)
    assert_same(left_by(workplace, again), undisturbed)
