"""Part `ablation`: what each choice changes, one at a time, in short trainings.

Every line differs from the first one in what its name says; rows, epochs and seeds are the same.
Two lines that cost less time have a second one with as much training time as the first line. Strict
F1 of the last epoch, on VL0 (families of the training) and on CUT (no relatives in the training).
"""

from dataclasses import replace
from typing import Any

import pandas as pd

from benchmarks.figures import dots
from benchmarks.rna_jobs import DATA, Line, run_lines
from benchmarks.rna_setting import Setting
from benchmarks.tables import Report, present
from priorwise.phases.rna_options import RnaPretrain

EPOCHS, ROWS = 6, 1500
BASE = "base"
#: of the base, other than in configs/rna_cpu.yaml: so that a line shows what each of them changes
PLAIN = {"ema_decay": 0.0, "use_focal_loss_for_pairs": True}
#: line -> what differs from the base
CHANGES: dict[str, dict[str, Any]] = {
    BASE: {},
    "cross-entropy, no focal loss": {"use_focal_loss_for_pairs": False},
    "focal loss over cells (published)": {"focal_normalizer": "cells"},
    "pair weight 0.5": {"pair_loss_weight": 0.5},
    "pair weight 3.0 (T4 recipe)": {"pair_loss_weight": 3.0},
    "weights 1.0/0.8/1.5 (seed)": {
        "mlm_loss_weight": 1.0,
        "structure_loss_weight": 0.8,
        "pair_loss_weight": 1.5,
    },
    "pairs alone": {"mlm_loss_weight": 0.0, "structure_loss_weight": 0.0},
    "constant rate after the warmup": {"lr_scheduler_type": "constant"},
    "linear decay": {"lr_scheduler_type": "linear"},
    "pairs from masked input (published)": {"structure_input": "masked"},
    "learned positions": {"positions": "learned"},
    "average of weights, .99": {"ema_decay": 0.99},
    "average of weights, .999": {"ema_decay": 0.999},
    "a teacher, weight 0.3": {"teacher": "bpp"},
    "a teacher, weight 0.1": {"teacher": "bpp", "teacher_loss_weight": 0.1},
    "bilinear head": {"pair_head": "bilinear"},
    "sparse training, 40 %": {"use_ast": True, "ast_target_activation": 0.4},
}
#: lines that are quicker, and are run again for the time of the base
AGAIN = ("bilinear head", "sparse training, 40 %")
PARTS = {"val_f1": "strict F1 on VL0", "cut_f1": "strict F1 on CUT"}


def run(setting: Setting) -> Report:
    """Train all lines with every seed."""
    DATA.train = setting.rows("TR0", limit=ROWS)
    DATA.validation = setting.rows("VL0", "CUT", limit=ROWS)
    epochs, seeds = setting.epochs or EPOCHS, setting.several(1)
    recipe = {**setting.own_recipe(), **PLAIN, "num_epochs": epochs}
    recipe["patience"] = epochs
    lines = [
        Line(name, setting.options(recipe, **{"seed": seed, **change}))
        for name, change in CHANGES.items()
        for seed in seeds
    ]
    first = run_lines(lines, setting.jobs, "ablation")
    again = [_as_long(line, first) for line in lines if line.name in AGAIN]
    rows = pd.concat([first, run_lines(again, setting.jobs, "same time")], ignore_index=True)
    table = compared(rows)
    used = [
        f"{len(DATA.train)} sequences of TR0, validation on {len(DATA.validation)} of VL0 and CUT; "
        f"{epochs} epochs, seeds {seeds.start} to {seeds.stop - 1}; base: configs/rna_cpu.yaml "
        f"with the focal loss and no average of weights; {setting.jobs} process(es) of one thread",
    ]
    figure = dots(
        rows,
        "line",
        PARTS,
        "One change at a time (dashed: base)",
        ours=[BASE],
        bounds={part: float(table.loc[table["line"] == BASE, part].iloc[0]) for part in PARTS},
    )
    title = "one change at a time (means over seeds)"
    report = Report("ablation", title, used, table, [], {"": figure}, files={"_seeds": rows})
    return present(report, setting.out)


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds, and what each line gains over the base."""
    table = rows.groupby("line", sort=False).mean(numeric_only=True).drop(columns="seed")
    for part in PARTS:
        table[f"{part} gain"] = table[part] - table.loc[BASE, part]
    first = [column for part in PARTS for column in (part, f"{part} gain")]
    others = [column for column in table.columns if column not in first]
    return table[[*first, *others]].reset_index()


def _as_long(line: Line, first: pd.DataFrame) -> Line:
    of_seed = first[first["seed"] == line.options.seed].set_index("line")["seconds"]
    ratio = of_seed[BASE] / of_seed[line.name]
    options: RnaPretrain = line.options
    epochs = max(1, round(options.num_epochs * ratio))
    again = replace(options, num_epochs=epochs, patience=epochs)
    return Line(f"{line.name}, same time", again)
