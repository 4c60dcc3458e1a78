"""Part `loader`: batches of 256 shuffled rows, ready for the network; rows per CPU-second."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import baseline
from benchmarks.figures import dots
from benchmarks.speed_setting import Setting, Turn, take_turns, timed
from benchmarks.tables import Goal, Report, present
from priorwise.learn.batches import KeyedBatches
from priorwise.phases.spectra_rows import Table, order_of, rows_of
from priorwise.phases.training_options import TrainingOptions

BATCH, WINDOW, BASELINE_BATCHES = 256, 64, 10
BASELINE = "published: take, to_pydict, tensors"
LINES = {"memory": "ours, in memory", "packed": "ours, packed", "streamed": "ours, streamed"}


def run(setting: Setting) -> Report:
    """Take turns, a whole epoch each (the published loader: some batches)."""
    uri = setting.table()
    lines = {BASELINE: _published(str(uri))}
    for kind, name in LINES.items():
        lines[name] = _ours(kind, uri, setting)
    table, turns = take_turns(lines, setting.rounds, BASELINE, "cpu")
    ratio = table.set_index("line")["x baseline"]
    waste = table.set_index("line")["padding"]
    goals = [
        Goal("streamed: x rows per CPU-second", ratio[LINES["streamed"]], 15, 25),
        Goal("packed: x rows per CPU-second", ratio[LINES["packed"]], 60, 100),
        Goal(
            "padding waste",
            waste[LINES["packed"]],
            0.05,
            0.015,
            "<=",
            f"published {waste[BASELINE]:.2f}",
        ),
    ]
    used = [f"{setting.rows} rows, batches of {BATCH}, shuffled; {setting.rounds} rounds"]
    figure = dots(
        turns,
        "line",
        {"cpu": "rows per CPU-second (dot: round)"},
        "Loaders",
        ours=list(LINES.values()),
    )
    figure.axes[0].set_xscale("log")
    title = "shuffled batches, ready for the network"
    return present(
        Report("loader", title, used, table, goals, {"": figure}, files={"_rounds": turns}),
        setting.out,
    )


def waste_of(sizes: list[np.ndarray]) -> float:
    """Share of tokens that are padding, of the peaks of the rows of each batch."""
    real = sum(int(part.sum()) for part in sizes)
    return 1 - real / sum(int(part.max()) * len(part) for part in sizes)


def _published(uri: str) -> Callable[[int], Turn]:
    loader = baseline.loader(uri, BATCH)

    def epoch() -> tuple[int, float]:
        sizes = [
            (batch[0] > 0).sum(1).numpy() for batch in itertools.islice(loader, BASELINE_BATCHES)
        ]
        return BATCH * len(sizes), waste_of(sizes)

    return lambda number: timed(epoch)


def _ours(kind: str, uri: Path, setting: Setting) -> Callable[[int], Turn]:
    options = TrainingOptions(rows=kind, batch_size=BATCH, length_window=WINDOW, seed=setting.seed)
    rows = rows_of(Table(str(uri), 1, uri.parent.name), "both", options, 1)
    order: KeyedBatches = order_of(rows, options, True, 0, 1)

    def epoch(number: int) -> Turn:
        order.set_epoch(number)

        def work() -> tuple[int, float]:
            done, sizes = 0, []
            for indices in order:
                done += len(rows.assemble(indices).s)
                sizes.append(rows.lengths[indices])
            return done, waste_of(sizes)

        return timed(work)

    return epoch
