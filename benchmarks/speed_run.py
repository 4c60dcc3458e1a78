"""Part `run`: one small `nnpu_train` from the start of its process to its end, and its memory.

2,000 rows, one epoch, validation on as many, both polarities, priors given as numbers. The
published way is `benchmarks.baseline_run`, the same with Lightning and its MLflow logger. Ours is
the project's own entry point with all that it does besides: checks, digests, figures, the model in
the registry's form. A table of 20,000 rows is trained on once, by ours alone.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks.figures import dots
from benchmarks.speed_setting import Setting
from benchmarks.tables import Goal, Report, present

ROWS, MORE = 2_000, 20_000
PUBLISHED = "published"
OURS, BFLOAT16 = "ours", "ours, bfloat16"
MANY = "ours, 20,000 rows"
ROOT = Path(__file__).resolve().parents[1]


def run(setting: Setting) -> Report:
    """Run the programs in turn."""
    n = 200 if setting.quick else ROWS
    small, other = setting.table(n), _validation(setting, n)
    rounds = []
    with tempfile.TemporaryDirectory() as scratch:
        ways = {
            PUBLISHED: _published(small, other),
            OURS: _ours(small, other),
            BFLOAT16: [*_ours(small, other), "--precision", "bf16"],
        }
        for number in range(min(setting.rounds, 3)):
            for name, command in ways.items():
                rounds.append({"line": name, "round": number + 1, **_measured(command, scratch)})
        if not setting.quick:
            many = setting.table(MORE)
            rounds.append({"line": MANY, "round": 1, **_measured(_ours(many, other), scratch)})
    turns = pd.DataFrame(rounds)
    table = turns.groupby("line", sort=False)[["s", "CPU s", "peak MB"]].median().reset_index()
    of_round = turns[turns["line"] != MANY].pivot(index="round", columns="line", values="s")
    ratios = of_round[[PUBLISHED]].to_numpy() / of_round
    table["x published"] = table["line"].map(ratios.median())
    table["lowest x"] = table["line"].map(ratios.min())
    x = table.set_index("line")["x published"]
    goals = [
        Goal("whole nnpu_train, f32", x[OURS], 4, 7),
        Goal("whole nnpu_train, bf16", x[BFLOAT16], 4, 7),
    ]
    used = [f"{n} rows and {n} to validate with, 1 epoch, batches of 256; {len(ratios)} rounds"]
    title = "one whole small training, process and all"
    figure = dots(turns, "line", {"s": "seconds (dot: round)"}, title, ours=[OURS, BFLOAT16, MANY])
    report = Report("run", title, used, table, goals, {"": figure}, files={"_rounds": turns})
    return present(report, setting.out)


def _validation(setting: Setting, n_rows: int) -> Path:
    """Other rows."""
    return replace(setting, seed=setting.seed + 1).table(n_rows, "validation_data")


def _published(train: Path, validation: Path) -> list[str]:
    return ["-m", "benchmarks.baseline_run", str(train), str(validation)]


def _ours(train: Path, validation: Path) -> list[str]:
    given = {
        "data": train,
        "data_val": validation,
        "prior_pos": 0.45,
        "prior_neg": 0.28,
        "init_from": "none",
        "epochs": 1,
        "length_window": 64,
    }
    flags = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return ["-P", "entry_points/nnpu_train.py", *flags]


def _measured(command: list[str], scratch: str) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory of a process of its own."""
    place = Path(tempfile.mkdtemp(dir=scratch))
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{place}/mlflow.db",
        "PYTHONPATH": str(ROOT / "src"),
    }
    if command[1] == "benchmarks.baseline_run":
        environment["PYTHONPATH"] = str(ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"s": seconds, "CPU s": cpu, "peak MB": int(done.stdout.split()[-1]) / 1024}
