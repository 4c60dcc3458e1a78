"""What priors.py and nnpu.py share: their jobs, the data loaded for them, and the command line."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks import mnist, networks, report, satimage, tasks
from benchmarks.wheels import CACHE

Row = dict[str, Any]
POSITIVE, NEGATIVE = "MNIST even/odd, positive", "MNIST even/odd, negative"
SETTINGS = {POSITIVE: tasks.POSITIVE, NEGATIVE: tasks.NEGATIVE, "digits": tasks.POSITIVE}
N_COMPONENTS = 64


@dataclass(frozen=True)
class Job:
    """One training and what is measured on it."""

    kind: str
    name: str
    seed: int
    alpha: float = 0.5


@dataclass
class Data:
    """What is loaded once, before the processes are forked."""

    components: NDArray[np.float32] = field(
        default_factory=lambda: np.empty((0, N_COMPONENTS), np.float32)
    )
    digit: tasks.Bits = field(default_factory=lambda: np.empty(0, np.int64))
    satimage: tuple[NDArray[np.float32], tasks.Bits] | None = None
    cut: bool = False


DATA = Data()


def load(jobs: Iterable[Job], cache: Path) -> None:
    """Load into DATA what the jobs need."""
    names = {job.name for job in jobs}
    if names & {POSITIVE, NEGATIVE, "acmi"}:
        images, DATA.digit = mnist.load(cache)
        fitted_on = len(images) - mnist.N_OFFICIAL_TEST
        DATA.components = mnist.principal_components(images, N_COMPONENTS, fitted_on)
    if "satimage" in names:
        DATA.satimage = satimage.load(cache)


def labelled_task(job: Job, *, exact: bool = True) -> tuple[tasks.Task, networks.Pretrained]:
    """Censored tables of this seed, and the network trained on s."""
    if job.name == "digits":
        x, y = tasks.digits()
        sizes = tasks.DIGITS_CUT_SIZES if DATA.cut else tasks.DIGITS_SIZES
    else:
        x, y = DATA.components, (DATA.digit % 2 == 0).astype(np.int64)
        sizes = tasks.SIZES
    task = tasks.censored(x, y, SETTINGS[job.name], job.seed, sizes=sizes, exact=exact)
    trained = networks.pretrain(
        task.train,
        task.validation,
        hidden=(128,),
        epochs=25,
        seed=job.seed,
        batch=32 if job.name == "digits" else 256,
    )
    return task, trained


def acmi_task(job: Job) -> tuple[tasks.Task, networks.Pretrained]:
    """acmi's two samples of this seed, and the network trained on s."""
    y = (DATA.digit < 5).astype(np.int64)
    task = tasks.two_sample(DATA.components, y, job.seed, n_official_test=mnist.N_OFFICIAL_TEST)
    trained = networks.pretrain(
        task.train, task.validation, hidden=(400, 400), epochs=40, seed=job.seed, batch=256
    )
    return task, trained


def main(
    doc: str,
    name: str,
    kinds: dict[str, Callable[[Job], list[Row]]],
    all_jobs: Callable[[bool, int], list[Job]],
    summary: Callable[[pd.DataFrame], pd.DataFrame],
    arguments: list[str] | None,
) -> None:
    """Parse, run the jobs, print the table and write it with the single results beside it."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(f"outputs/bench_{name}.csv"))
    parser.add_argument("--jobs", type=int, default=report.cores(), help="processes")
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of downloaded wheels")
    parser.add_argument("--only", default="", help=f"of {', '.join(kinds)}; comma-separated")
    parser.add_argument("--first-seed", type=int, default=1, help="1: the seeds that are reported")
    parser.add_argument("--cut", action="store_true", help="a small cut for the tests")
    options = parser.parse_args(arguments)
    wanted = options.only.split(",") if options.only else list(kinds)
    if unknown := [kind for kind in wanted if kind not in kinds]:
        parser.error(f"--only: {unknown[0]!r} (expected of {', '.join(kinds)})")
    DATA.cut = options.cut
    jobs = [job for job in all_jobs(options.cut, options.first_seed) if job.kind in wanted]
    load(jobs, options.cache)
    # A closure would not reach another process, so the function of each kind is sent with the job.
    calls = [(kinds[job.kind], job) for job in jobs]
    results = report.run_jobs(call, calls, options.jobs, f"bench {name}")
    rows = pd.DataFrame([row for result in results for row in result])
    print(report.write(summary(rows), rows, options.out))


def call(function_and_job: tuple[Callable[[Job], list[Row]], Job]) -> list[Row]:
    """The rows of one job; runs in a process of its own."""
    function, job = function_and_job
    return function(job)
