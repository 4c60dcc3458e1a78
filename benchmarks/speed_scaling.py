"""Part `scaling`: how a training step's cost grows with rows, peaks and width of the network."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from benchmarks import baseline
from benchmarks.speed_setting import Setting
from benchmarks.speed_step import optimizer_of
from benchmarks.tables import Report, present
from priorwise.spectra.encoder import SpectrumClassifier

#: what varies, its values, and the values of the others
GRID = {"rows": (16, 32, 64), "peaks": (50, 100, 200, 400), "d_model": (64, 128, 256)}
USUAL = {"rows": 32, "peaks": 100, "d_model": 128}
LINES = ("published", "ours")


def run(setting: Setting) -> Report:
    """Time each size, and fit an exponent."""
    torch.set_num_threads(setting.threads)
    found = []
    for name, values in GRID.items():
        for value in values:
            size = {**USUAL, name: value}
            steps = {line: _step(line, **size) for line in LINES}
            for number in range(setting.rounds + 1):
                for line, step in steps.items():
                    began = time.perf_counter()
                    step()
                    if number:
                        seconds = time.perf_counter() - began
                        found.append({"size": name, "value": value, "line": line, "s": seconds})
    turns = pd.DataFrame(found)
    best = turns.groupby(["size", "line", "value"], sort=False)["s"].median().reset_index()
    table = pd.DataFrame(
        [
            {
                "size": f"{name}, {line}",
                "smallest": int(part["value"].min()),
                "largest": int(part["value"].max()),
                "ms, smallest": part["s"].iloc[0] * 1e3,
                "ms, largest": part["s"].iloc[-1] * 1e3,
                "exponent": np.polyfit(np.log(part["value"]), np.log(part["s"]), 1)[0],
            }
            for (name, line), part in best.groupby(["size", "line"], sort=False)
        ]
    )
    used = [
        f"nnPU training steps in float32; otherwise {USUAL['rows']} rows of {USUAL['peaks']} "
        f"peaks, d_model {USUAL['d_model']}; {setting.rounds} rounds, {setting.threads} thread(s)"
    ]
    title = "cost of a step ~ size ** exponent"
    report = Report("scaling", title, used, table, [], {"": _figure(best)}, files={"_sizes": best})
    return present(report, setting.out)


def _step(line: str, rows: int, peaks: int, d_model: int) -> Callable[[], object]:
    torch.manual_seed(0)
    settings = torch.randn(rows, 22)
    settings[:, 15] = torch.arange(rows) % 2
    label = (torch.arange(rows) % 5 < 2).float()
    x = torch.rand(rows, peaks) * 900 + 100, torch.rand(rows, peaks) * 30 + 1, settings
    batch = (*x, torch.rand(rows) * 800 + 100, label, settings[:, 15] > 0.5)
    if line == "published":
        network = baseline.PublishedNetwork(d_model).train()
        optimizer = baseline.optimizer_of(network)
    else:
        network = SpectrumClassifier(d_model).train()
        optimizer = optimizer_of(network)
    return lambda: baseline.step(network, optimizer, batch)


def _figure(best: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(4 * len(GRID), 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(GRID), sharey=True), GRID, strict=True):
        for line, colour in zip(LINES, ("0.55", "tab:blue"), strict=True):
            part = best[(best["size"] == name) & (best["line"] == line)]
            axes.loglog(part["value"], part["s"] * 1e3, "o-", color=colour, label=line)
        axes.set(xlabel=name, title=f"cost by {name}")
        axes.set_xticks(GRID[name], [str(v) for v in GRID[name]], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("ms per training step")
    figure.axes[0].legend(frameon=False)
    return figure
