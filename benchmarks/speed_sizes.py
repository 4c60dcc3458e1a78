"""Part `sizes`: rows per second and memory of training and scoring, by the peaks of a row.

Ours alone, and every size in a process of its own, which says what it took at most.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from benchmarks import baseline
from benchmarks.speed_setting import Setting
from benchmarks.speed_step import optimizer_of
from benchmarks.tables import Report, present
from priorwise.spectra.encoder import SpectrumClassifier, in_bfloat16, steady
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.rows import SpectraRows

PEAKS = (40, 100, 200, 400)
BATCH, SCORED = 256, 1024
KINDS = ("training", "training, bfloat16", "scoring", "scoring, bfloat16")


def run(setting: Setting) -> Report:
    """Measure each size and kind."""
    sizes = PEAKS[:2] if setting.quick else PEAKS
    found = [_measured(peaks, kind, setting) for peaks in sizes for kind in KINDS]
    table = pd.DataFrame(found)
    used = [
        f"the guide's model; training in batches of {BATCH}, all rows with this many peaks; "
        f"median of {setting.rounds} rounds, {setting.threads} thread(s)"
    ]
    title = "rows per second and memory, by the peaks of a row"
    return present(Report("sizes", title, used, table, [], {"": _figure(table)}), setting.out)


def _measured(peaks: int, kind: str, setting: Setting) -> dict[str, object]:
    given = [str(peaks), kind, str(setting.rounds), str(setting.threads), str(setting.quick)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed_sizes", *given],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": str(setting.threads)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {"peaks": peaks, "what": kind, **json.loads(done.stdout)}


def measure(peaks: int, kind: str, rounds: int, small: bool) -> dict[str, float]:
    """Rows per second (median), and the most memory that this process had, in MB."""
    n = 32 if small else (BATCH if "training" in kind else SCORED)
    work = (_training if "training" in kind else _scoring)(_rows(n, peaks), "bfloat16" in kind)
    seconds = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        work()
        if number:
            seconds.append(time.perf_counter() - began)
    # not getrusage: a new process begins with what its parent had
    status = Path("/proc/self/status").read_text()
    most = int(status.split("VmHWM:")[1].split()[0]) / 1024
    return {"rows/s": n / float(np.median(seconds)), "MB": most}


def _rows(n: int, peaks: int) -> SpectraRows:
    rng = np.random.default_rng(1)
    settings = rng.normal(size=(n, 22)).astype(np.float32)
    settings[:, 15] = np.arange(n) % 2
    columns: dict[str, np.ndarray] = {
        "mz": rng.uniform(70, 1050, n * peaks).astype(np.float32),
        "intensity": rng.lognormal(3, 0.8, n * peaks).astype(np.float32),
        "sizes": np.full(n, peaks),
        "settings": settings,
        "precursor_mz": rng.uniform(100, 1000, n).astype(np.float32),
        "s": (np.arange(n) % 5 < 2).astype(np.float32),
        "row": np.arange(n),
    }
    return SpectraRows(columns)


def _training(rows: SpectraRows, bfloat16: bool) -> Callable[[], object]:
    torch.manual_seed(0)
    network = in_bfloat16(SpectrumClassifier(), bfloat16).train()
    optimizer = optimizer_of(network)
    batch = tuple(vars(rows.assemble(range(len(rows)))).values())
    return lambda: baseline.step(network, optimizer, batch)


def _scoring(rows: SpectraRows, bfloat16: bool) -> Callable[[], object]:
    torch.manual_seed(0)
    network = in_bfloat16(steady(SpectrumClassifier()), bfloat16)
    return lambda: probabilities(network, rows)


def _figure(table: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    panels = {"rows/s": "rows per second", "MB": "memory of the process (MB)"}
    for axes, (column, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for kind, part in table.groupby("what", sort=False):
            axes.plot(part["peaks"], part[column], "o-", label=kind)
        axes.set_xscale("log")
        axes.set(xlabel="peaks of a row", ylabel=label, title=label)
        axes.set_xticks(sorted(set(table["peaks"])), [str(k) for k in sorted(set(table["peaks"]))])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    figure.axes[0].set_yscale("log")
    figure.axes[1].set_ylim(bottom=0)
    figure.axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    of_peaks, of_kind, of_rounds, of_threads, quick = sys.argv[1:]
    torch.set_num_threads(int(of_threads))
    print(json.dumps(measure(int(of_peaks), of_kind, int(of_rounds), quick == "True")))
