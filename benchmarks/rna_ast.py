"""Part `ast`: what sparse training at 40 % saves, and what it costs; seeds are paired.

Three trainings with each seed, on the same rows with the same first weights: all rows; 40 % of the
rows for as many epochs; 40 % for about the wall clock of the first one, so for more epochs. The
F1 is that of the last epoch on VL0, where the cosine schedule has come to its end; the best epoch's
is shown, too. At 40 % no training can be more than 2.5 times as fast.

The published sparse training is timed beside the published plain one, on the same rows.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from benchmarks.figures import dots
from benchmarks.published_rna import published_network
from benchmarks.published_rna_training import Controller, PublishedTraining, samples_per_second
from benchmarks.rna_jobs import DATA, Line, run_lines
from benchmarks.rna_setting import Setting
from benchmarks.tables import Goal, Report, present

EPOCHS, SEEDS, ROUNDS, BATCH = 6, 3, 5, 16
TARGET, TOLERANCE = 0.4, 0.01
FULL = "all rows"
#: of the table, those that are printed
COLUMNS = (
    *("line", "epochs", "val_f1", "val_f1 gain", "val_f1_best", "cut_f1", "cut_f1 gain"),
    *("activation", "samples/s", "x samples/s", "seconds", "x seconds"),
)
#: an average over a thousand steps would mostly show which training took more of them
SHORT = {"ema_decay": 0.0}


def run(setting: Setting) -> Report:
    """Train, pair, time the published one."""
    DATA.train, DATA.validation = setting.rows("TR0"), setting.rows("VL0", "CUT")
    epochs = setting.epochs or EPOCHS
    base = setting.options({**setting.own_recipe(), **SHORT}, num_epochs=epochs)
    base = replace(base, patience=epochs)
    seeds = setting.several(SEEDS)
    sparse = replace(base, use_ast=True, ast_target_activation=TARGET)
    plain = [Line(FULL, replace(base, seed=seed)) for seed in seeds]
    equal = [
        Line(_name(p, "as many epochs"), replace(sparse, seed=seed), p)
        for seed in seeds
        for p in setting.preferences
    ]
    first = run_lines([*plain, *equal], setting.jobs, "ast")
    longer = [_as_long(line, first) for line in equal]
    rows = pd.concat([first, run_lines(longer, setting.jobs, "ast, same time")], ignore_index=True)
    rows = paired(rows)
    published = published_ratio(setting)
    used = [
        f"{len(DATA.train)} sequences of TR0, validation on {len(DATA.validation)} of VL0 and CUT; "
        f"{epochs} epochs, seeds {seeds.start} to {seeds.stop - 1}; configs/rna_cpu.yaml without "
        f"its average of weights; {setting.jobs} process(es) of one thread",
    ]
    columns = [c for c in rows.columns if c not in ("line", "seed")]
    table = rows.groupby("line", sort=False)[columns].mean(numeric_only=True).reset_index()
    table["epochs"] = table["epochs"].round(1)
    figure = dots(
        rows,
        "line",
        {"x samples/s": "samples/s, x all rows", "val_f1": "strict F1 on VL0, last epoch"},
        "Sparse training at 40 % (dots: seeds, bars: their mean)",
        ours=[name for name in table["line"] if name != FULL],
        bounds={"x samples/s": 2.0},
    )
    goals = [g for p in setting.preferences for g in goals_of(rows, p)]
    goals.append(Goal("published sparse training: x samples/s", published, reference="1.0"))
    title = "sparse training at 40 %: speed, and F1 on VL0 (means over seeds)"
    files = {"_seeds": rows}
    report = Report("ast", title, used, table, goals, {"": figure}, files=files, columns=COLUMNS)
    return present(report, setting.out)


def _name(preference: float, how_long: str) -> str:
    return f"40 %, preference {preference:g}, {how_long}"


def _as_long(line: Line, first: pd.DataFrame) -> Line:
    """The same training for as many epochs as the wall clock of all rows allows."""
    seed = line.options.seed
    of_seed = first[first["seed"] == seed].set_index("line")
    ratio = of_seed["seconds"][FULL] / of_seed["seconds"][line.name]
    epochs = max(1, round(line.options.num_epochs * ratio))
    options = replace(line.options, num_epochs=epochs, patience=epochs)
    return Line(_name(line.preference, "same time"), options, line.preference)


def paired(rows: pd.DataFrame) -> pd.DataFrame:
    """With the differences from the training on all rows of the same seed."""
    full = rows[rows["line"] == FULL].set_index("seed")
    of_seed = full.loc[rows["seed"]]
    rows["x samples/s"] = rows["samples/s"].to_numpy() / of_seed["samples/s"].to_numpy()
    rows["x seconds"] = rows["seconds"].to_numpy() / of_seed["seconds"].to_numpy()
    for part in ("val", "cut"):
        rows[f"{part}_f1 gain"] = rows[f"{part}_f1"].to_numpy() - of_seed[f"{part}_f1"].to_numpy()
    return rows


def goals_of(rows: pd.DataFrame, preference: float) -> list[Goal]:
    """Both halves of the goal: twice as fast, and F1 within .01 one way or the other."""
    many = rows[rows["line"] == _name(preference, "as many epochs")]
    long = rows[rows["line"] == _name(preference, "same time")]
    gains = [float(part["val_f1 gain"].mean()) for part in (many, long)]
    said = f"preference {preference:g}"
    spread = "; ".join(
        f"{g:+.4f} ({part['val_f1 gain'].min():+.4f} to {part['val_f1 gain'].max():+.4f})"
        for g, part in zip(gains, (many, long), strict=True)
    )
    speed = float(many["x samples/s"].mean())
    return [
        Goal(f"{said}: x samples/s", speed, 2.0, 2.8, reference="published 1.0"),
        Goal(
            f"{said}: F1 gain, the better of equal epochs and equal time",
            max(gains),
            -TOLERANCE,
            reference=spread,
        ),
    ]


def published_ratio(setting: Setting) -> float:
    """Samples per second of the published sparse training, over those of the plain one."""
    assert DATA.train is not None
    torch.set_num_threads(1)
    rows = DATA.train
    longest = int(rows.lengths.max()) + 2
    trainings = [
        PublishedTraining(
            published_network("0.7M", seed=setting.seed),
            rows,
            longest,
            10_000,
            30,
            BATCH,
            controller=controller,
        )
        for controller in (None, Controller(TARGET, threshold=TARGET))  # as after settling
    ]
    rng, ratios = np.random.default_rng(setting.seed), []
    for turn in range((setting.rounds or ROUNDS) + 1):
        order = rng.permutation(len(rows))[: 4 * BATCH].tolist()
        batches = [order[k : k + BATCH] for k in range(0, len(order), BATCH)]
        plain, sparse = (samples_per_second(training, batches) for training in trainings)
        if turn:
            ratios.append(sparse / plain)
    return float(np.median(ratios))
