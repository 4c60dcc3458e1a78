"""Part `speed`: samples per second of the training, same small model, same sequences of TR0.

The published training pads every sequence to 512, with dense pair maps; ours pads to the longest of
a batch of similar lengths. Both are timed as they train, assembling of batches included, ours with
all that its trainer does. Lines take turns; a first turn warms up and is not counted.

By default ours learns pairs from whole sequences and nucleotides from masked ones, so that each
goes through the encoder twice; the published training, and the line that is judged, go once.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from benchmarks.figures import dots
from benchmarks.published_rna import MAX_LEN, published_network
from benchmarks.published_rna_training import PublishedTraining, samples_per_second
from benchmarks.rna_runs import speed
from benchmarks.rna_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.rna.rows import RnaRows

ROUNDS, BATCH = 5, 16
#: batches of a turn: of the published training, which is slow, and of ours (one length window)
PUBLISHED_BATCHES, OUR_BATCHES = 2, 16
PUBLISHED, OURS = "published, padded to 512", "ours, same model"
SAME = {
    "model_size": "small",
    "pair_head": "bilinear",
    "positions": "learned",
    "structure_input": "masked",
    "batch_size": BATCH,
}
#: lines that are not the same model, or learn more from each sequence
OTHERS = {
    "ours, pairs learned from whole sequences": {**SAME, "structure_input": "whole"},
    "ours, conv head": {"model_size": "small", "batch_size": BATCH},
    "ours, configs/rna_cpu.yaml": None,
}


def run(setting: Setting) -> Report:
    """Take turns."""
    torch.set_num_threads(setting.threads)
    rows, rounds = setting.rows("TR0"), setting.rounds or ROUNDS
    lines = lines_of(setting, rows)
    rng = np.random.default_rng(setting.seed)
    found = []
    for turn in range(rounds + 1):
        order = rng.permutation(len(rows))
        for name, measure in lines.items():
            value = measure(order)
            if turn:
                found.append({"line": name, "round": turn, "samples/s": value})
    turns = pd.DataFrame(found)
    median = turns.groupby("line", sort=False)["samples/s"].median()
    ratios = _ratios(turns)
    table = pd.DataFrame(
        {
            "line": median.index,
            "median samples/s": median.to_numpy(),
            "lowest": turns.groupby("line", sort=False)["samples/s"].min().to_numpy(),
            "highest": turns.groupby("line", sort=False)["samples/s"].max().to_numpy(),
            "x published": median.to_numpy() / median[PUBLISHED],
        }
    )
    used = [
        f"{len(rows)} sequences of TR0, mean length {rows.lengths.mean():.0f}; batches of {BATCH}; "
        f"{rounds} rounds, each with other sequences; {setting.threads} thread(s)"
    ]
    goals = [
        Goal("samples/s, ours / published (medians)", median[OURS] / median[PUBLISHED], 8, 15),
        Goal("lowest ratio of a round", ratios.min()),
        Goal("highest ratio of a round", ratios.max()),
    ]
    figure = dots(
        turns,
        "line",
        {"samples/s": "samples per second (dot: round)"},
        "Speed of a training on TR0",
        ours=[OURS, *OTHERS],
        bounds={"samples/s": 8 * median[PUBLISHED]},
    )
    title = "samples per second, same small model (dashed: 8 x published)"
    report = Report("speed", title, used, table, goals, {"": figure}, files={"_rounds": turns})
    return present(report, setting.out)


def lines_of(setting: Setting, rows: RnaRows) -> dict[str, Callable[[np.ndarray], float]]:
    """What is timed: functions of a random order of the rows."""
    longest = int(rows.lengths.max()) + 2
    trainings = {
        PUBLISHED: _published(rows, MAX_LEN, setting.seed),
        f"published, padded to {longest}": _published(rows, longest, setting.seed),
    }
    ours = {OURS: setting.options(SAME)}
    for name, options in OTHERS.items():
        ours[name] = setting.options(setting.own_recipe() if options is None else options)

    def published(training: PublishedTraining) -> Callable[[np.ndarray], float]:
        def measure(order: np.ndarray) -> float:
            chosen = order[: PUBLISHED_BATCHES * BATCH].tolist()
            batches = [chosen[k : k + BATCH] for k in range(0, len(chosen), BATCH)]
            return samples_per_second(training, batches)

        return measure

    lines = {name: published(training) for name, training in trainings.items()}
    for name, options in ours.items():
        lines[name] = lambda order, options=options: speed(
            options, rows.take(order[: OUR_BATCHES * BATCH])
        )
    return lines


def _published(rows: RnaRows, max_len: int, seed: int) -> PublishedTraining:
    network = published_network("small", seed=seed)
    return PublishedTraining(network, rows, max_len, 10_000, 500, BATCH, 2e-4)


def _ratios(turns: pd.DataFrame) -> pd.Series:
    by_round = turns.pivot(index="round", columns="line", values="samples/s")
    return by_round[OURS] / by_round[PUBLISHED]
