"""Part `tracking`: what a training step waits for its metrics to be recorded, in SQLite.

Published: six metrics, sent and waited for. Ours: handed to the run's sender, which delivers in
batches from a thread of its own; the time until all are delivered is shown, too.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.tracking import MlflowClient

from benchmarks.figures import dots
from benchmarks.speed_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.learn.recorder import CsvHistory
from priorwise.tracking.recorder import MlflowRecorder
from priorwise.tracking.sender import Sender
from priorwise.tracking.spool import Spool

METRICS = {f"metric_{k}": 0.5 for k in range(6)}
PUBLISHED_STEPS, OUR_STEPS = 20, 1000
#: seconds of a training step, as far as the sender is concerned
STEP = 0.003
PUBLISHED, OURS = "published: log_metrics", "ours: handed over"


def run(setting: Setting) -> Report:
    """Record steps, both ways in turn."""
    turns = []
    with tempfile.TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
        experiment = client.create_experiment("speed", f"{folder}/artifacts")
        for number in range(setting.rounds + 1):
            run_id = client.create_run(experiment).info.run_id
            published = _published(client, run_id)
            ours, until_there = _ours(client, run_id, Path(folder))
            if number:
                turns.append({"line": PUBLISHED, "round": number, "ms": published})
                turns.append({"line": OURS, "round": number, "ms": ours, "flush s": until_there})
    rounds = pd.DataFrame(turns)
    table = rounds.groupby("line", sort=False)[["ms", "flush s"]].median().reset_index()
    table["highest ms"] = rounds.groupby("line", sort=False)["ms"].max().to_numpy()
    value = float(table.loc[table["line"] == OURS, "ms"].iloc[0])
    other = float(table.loc[table["line"] == PUBLISHED, "ms"].iloc[0])
    goals = [
        Goal("ms a step in the training thread", value, 1, 0.1, "<", f"published {other:.1f}"),
    ]
    used = [
        f"six metrics a step, {OUR_STEPS} steps of {STEP * 1e3:g} ms ({PUBLISHED_STEPS} of the "
        f"published way); {setting.rounds} rounds"
    ]
    figure = dots(rounds, "line", {"ms": "ms per step (dot: round)"}, "Tracking", ours=[OURS])
    figure.axes[0].set_xscale("log")
    title = "what a step waits for tracking"
    return present(Report("tracking", title, used, table, goals, {"": figure}), setting.out)


def _published(client: MlflowClient, run_id: str) -> float:
    took = []
    for step in range(PUBLISHED_STEPS):
        began = time.perf_counter()
        for name, value in METRICS.items():
            client.log_metric(run_id, name, value, step=step)
        took.append(time.perf_counter() - began)
    return float(np.mean(took)) * 1e3


def _ours(client: MlflowClient, run_id: str, folder: Path) -> tuple[float, float]:
    spool = Spool(folder / run_id / "spool.csv", run_id, client.tracking_uri)
    sender = Sender(client, run_id, before=spool.sync)
    recorder = MlflowRecorder(sender, CsvHistory(folder / "history.csv"), spool)
    took = []
    for step in range(OUR_STEPS):
        time.sleep(STEP)
        began = time.perf_counter()
        recorder.step(METRICS, step)
        took.append(time.perf_counter() - began)
    began = time.perf_counter()
    sender.flush()
    until_there = time.perf_counter() - began
    spool.close()
    return float(np.mean(took)) * 1e3, until_there
