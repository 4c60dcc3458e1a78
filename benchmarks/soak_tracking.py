"""What tracking promises under outages and load, tried at full length; prints a table.

    python -m benchmarks.soak_tracking [kills load new_store resolve]

`kills` takes some minutes: a real server is killed and started again 20 times during one training.
The tests hold a small cut of each.
"""

import benchmarks.of_the_tests  # noqa: F401

# isort: split
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow.entities import Metric
from mlflow.tracking import MlflowClient
from tests.pipelines.tracking_server import TrackingServer
from tests.pipelines.workplace import Workplace, blank
from tests.tracking.synthetic_runs import DIGEST, LABELLED, ROWS, Runs

from priorwise.learn.stopping import StopRequest
from priorwise.phases.desk import Desk, Recipe
from priorwise.phases.lineage import request, resolve_prior, snapshot
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.module import SpectraModule
from priorwise.tracking.runs import RunTrack

KILLS, EPOCHS, STEP_SECONDS = 20, 600, 0.05
RUNS, METRICS = 8, 500
PRIORS, HISTORY = 50, 30
WRITER = f"""
import sys
from pathlib import Path
from priorwise.tracking.runs import open_run
with open_run("simulate") as track:
    recorder = track.recorder(Path(track.run_id) / "history.csv")
    for step in range({METRICS}):
        recorder.step({{"m": step / 7}}, step)
"""


@dataclass(frozen=True)
class Line:
    """One promise, and what came of it."""

    what: str
    tried: str
    found: str
    must: str
    kept: bool


def kills(folder: Path) -> Iterator[Line]:
    """Kill the server 20 times during one training."""
    behind = Workplace(blank(_made(folder / "store")), folder / "data")
    place = Workplace(_made(folder / "work"), folder / "data")
    assert behind.phase("simulate", out=folder / "data").code == 0
    server = TrackingServer(behind, folder / "artifacts")
    server.start()
    place.uri = server.uri
    place.environment["MLFLOW_EXPERIMENT_NAME"] = "soak"
    over, killed = threading.Event(), []

    def chaos() -> None:
        for _ in range(KILLS):
            time.sleep(random.uniform(0.5, 3))
            server.kill()
            killed.append(time.monotonic())
            time.sleep(random.uniform(0, 3))
            server.start()
        over.set()

    try:
        with _steps(chaos, over) as waits:
            # the last epochs wait for the last restart
            done = place.phase("bce_pretrain", epochs=EPOCHS, patience=EPOCHS)
        assert done.code == 0, done.err
        run = place.run("bce_pretrain")
        spool = place.folder / ".priorwise" / "runs" / run.info.run_id / "spool.csv"
        yield from _compared(place, run.info.run_id, spool, waits, len(killed))
    finally:
        server.stop()


@contextmanager
def _steps(first: object, over: threading.Event) -> Iterator[list[float]]:
    """Slow down each step, until the chaos is over; seconds between two steps."""
    original = SpectraModule.training_step
    waits: list[float] = []
    ended: list[float] = []

    def step(self: SpectraModule, batch: object, batch_idx: int) -> object:
        if ended:
            waits.append(time.monotonic() - ended[-1])
        else:
            threading.Thread(target=first, daemon=True).start()  # type: ignore[arg-type]
        result = original(self, batch, batch_idx)
        if not over.is_set():
            time.sleep(STEP_SECONDS)
        if self.current_epoch == EPOCHS - 2:
            over.wait(600)
        ended.append(time.monotonic())
        return result

    SpectraModule.training_step = step  # type: ignore[assignment, method-assign]
    try:
        yield waits
    finally:
        SpectraModule.training_step = original  # type: ignore[method-assign]


def _compared(
    place: Workplace, run_id: str, spool: Path, waits: list[float], killed: int
) -> Iterator[Line]:
    rows = pd.read_csv(spool).query("kind == 'metric'")
    expected = {(r.key, int(r.step)): float(r.value) for r in rows.itertuples()}
    names = sorted({name for name, _ in expected})
    found = [m for name in names for m in place.client.get_metric_history(run_id, name)]
    counts = Counter((m.key, m.step) for m in found)
    lost = [key for key in expected if key not in counts]
    wrong = [m for m in found if expected.get((m.key, m.step)) != m.value]
    twice = [key for key, count in counts.items() if count > 1]
    epochs = len(pd.read_csv(spool.with_name("history.csv")))
    tried = f"{killed} kills, {len(expected)} rows, {epochs} epochs"
    result = f"{len(lost)} lost, {len(twice)} twice, {len(wrong)} wrong"
    kept = not (lost or twice or wrong) and epochs == EPOCHS and killed == KILLS
    yield Line("server killed and restarted in one run", tried, result, "0, 0, 0", kept)
    longest = max(waits)
    steps, shown = f"{len(waits)} steps", f"{longest:.2f} s"
    yield Line("longest wait of a step", steps, shown, "<= 5 s", longest <= 5)


def load(folder: Path) -> Iterator[Line]:
    """Eight runs at once on one server."""
    behind = Workplace(blank(_made(folder / "store")), folder)
    server = TrackingServer(behind, folder / "artifacts")
    server.start()
    try:
        yield from _written(folder, server.uri, "8 runs x 500 metrics on one server")
    finally:
        server.stop()


def new_store(folder: Path) -> Iterator[Line]:
    """Eight processes on an SQLite file that is not there."""
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    yield from _written(folder, uri, "8 processes on a new sqlite file")


def _written(folder: Path, uri: str, what: str) -> Iterator[Line]:
    place = Workplace(_made(folder / "writers"), folder, uri)
    shell = place.shell() | {"PYTHONPATH": str(Path("src").resolve())}
    began = time.monotonic()
    running = [
        subprocess.Popen([sys.executable, "-c", WRITER], cwd=place.folder, env=shell)
        for _ in range(RUNS)
    ]
    codes = [process.wait() for process in running]
    seconds = time.monotonic() - began
    runs = place.runs()
    stored = {
        (run.info.run_id, m.step)
        for run in runs
        for m in place.client.get_metric_history(run.info.run_id, "m")
        if m.value == m.step / 7
    }
    left = [run for run in runs if run.info.status != "FINISHED"]
    result = f"{codes.count(0)} of {RUNS} ended well, {len(stored)} stored, {len(left)} open"
    kept = codes.count(0) == RUNS and len(stored) == RUNS * METRICS and not left
    yield Line(what, f"{seconds:.0f} s", result, f"{RUNS}, {RUNS * METRICS}, 0", kept)


def resolve(folder: Path) -> Iterator[Line]:
    """Find a prior among 50 runs of 30 epochs."""
    client = MlflowClient(f"sqlite:///{blank(folder) / 'mlflow.db'}")
    runs = Runs(client, folder)
    for _ in range(PRIORS // 2):
        bce = runs.bce()
        names = [f"m{k}" for k in range(10)]
        rows = [Metric(name, step / 7, step, step) for name in names for step in range(HISTORY)]
        client.log_batch(bce, metrics=rows)
        newest = runs.prior(bce)
    mode = "MSV000000001"
    table = TableFacts(
        uri="train_data",
        version=3,
        digest=DIGEST,
        rows={(name, mode): n for name, n in ROWS.items()},
        labelled={(name, mode): n for name, n in LABELLED.items()},
    )
    desk = Desk(Recipe(), RunTrack(client, "", runs.experiment_id), StopRequest())
    began = time.monotonic()
    with redirect_stdout(io.StringIO()):
        wanted = request("auto", "positive", table, desk)
        chosen = resolve_prior(wanted, snapshot(desk.track.history, "auto"), desk)
    seconds = time.monotonic() - began
    kept = chosen.run_id == newest and seconds < 2
    tried = f"{PRIORS} runs x {HISTORY} epochs"
    yield Line("a prior resolved", tried, f"{seconds:.2f} s", "< 2 s", kept)


PARTS = {"kills": kills, "load": load, "new_store": new_store, "resolve": resolve}


def main(names: list[str]) -> int:
    """Try the parts; 1 if a promise was not kept."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    lines: list[Line] = []
    for name in names or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            lines += PARTS[name](Path(folder))
    table = pd.DataFrame([vars(line) for line in lines])
    table["kept"] = table["kept"].map({True: "yes", False: "NO"})
    sys.stdout.write(table.to_string(index=False) + "\n")
    return int((table["kept"] == "NO").any())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
