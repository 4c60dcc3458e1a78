"""Trainings of the RNA benchmark side by side: one process and one thread each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import report
from benchmarks.rna_runs import PreferringJob, Trained, scratch, short, train
from priorwise.phases.rna_fit import RnaJob
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.rows import RnaRows


@dataclass(frozen=True)
class Line:
    """A training to be run.

    Attributes
    ----------
    name : str
        Of the line of the table; its seeds have the same.
    options : RnaPretrain
    preference : float
        Of the sparse training.
    """

    name: str
    options: RnaPretrain
    preference: float = 1.0


@dataclass
class Data:
    """What is loaded once, before the processes are forked."""

    train: RnaRows | None = None
    validation: RnaRows | None = None
    folded: dict[tuple[str, ...], RnaJob] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


DATA = Data()


def fold_for(lines: Sequence[Line]) -> None:
    """Let ViennaRNA fold the rows once for each choice of parameter sets among the lines."""
    assert DATA.train is not None and DATA.validation is not None
    for line in lines:
        known = DATA.folded.get(_sets(line))
        if known is None or known.train is not DATA.train:
            job = RnaJob(line.options, DATA.train, DATA.validation, Path())
            job.sources()
            DATA.folded[_sets(line)] = job


def _sets(line: Line) -> tuple[str, ...]:
    options = line.options
    return (*options.feature_sets, "teacher", *options.teacher_sets)


def run_lines(lines: Sequence[Line], n_processes: int, note: str) -> pd.DataFrame:
    """One row of numbers for each line, in their order."""
    fold_for(lines)
    results = report.run_jobs(measured, lines, min(n_processes, max(len(lines), 1)), note)
    return pd.DataFrame(results)


def measured(line: Line) -> dict[str, object]:
    """Train a line on DATA and say what came of it: of the last epoch, and of the best."""
    assert DATA.train is not None and DATA.validation is not None
    with scratch() as folder:
        job = PreferringJob(
            line.options, DATA.train, DATA.validation, folder, preference=line.preference
        )
        done = train(short(job).with_maps_of(DATA.folded[_sets(line)]))
    return {"line": line.name, "seed": line.options.seed, **numbers(done)}


def numbers(done: Trained) -> dict[str, float | int]:
    """Strict F1 of both validation parts, last and best epoch; times of the training alone."""
    history = done.history
    last = history.iloc[-1]
    best = history.loc[history[_monitor(history)].idxmax()]
    values: dict[str, float | int] = {"epochs": len(history)}
    for part in ("val", "cut"):
        name = f"{part}_strict_f1"
        values[f"{part}_f1"] = float(last[name]) if name in last else np.nan
        values[f"{part}_f1_best"] = float(best[name]) if name in best else np.nan
    return {
        **values,
        "val_ap": float(last["val_ap"]),
        "val_structure": float(last["val_structure_accuracy"]),
        "val_mlm": float(last["val_mlm_accuracy"]),
        "activation": float(history["activation_rate"].mean()),
        "samples/s": float(history["samples_per_second"].median()),
        "seconds": done.seconds,
    }


def _monitor(history: pd.DataFrame) -> str:
    return "selection_f1" if "selection_f1" in history else "val_strict_f1"
