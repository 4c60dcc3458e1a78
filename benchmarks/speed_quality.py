"""Part `quality`: whether length buckets and bfloat16 cost anything, paired over seeds.

nnPU trainings (censoring risk, true priors) on one simulated data set, the demo's network and
rates; for each seed three of them with the same first weights: rows drawn independently, length
buckets, and length buckets in bfloat16. Judged on Test Set 3: accuracy against the truth that the
simulation knows, and proxy F1. Each difference from the first comes with its paired 95 % interval
(Student).
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy import stats

from benchmarks.figures import dots
from benchmarks.report import run_jobs
from benchmarks.speed_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.learn.recorder import NullRecorder
from priorwise.learn.stopping import StopRequest
from priorwise.phases.spectra_fit import SpectraJob, run_job
from priorwise.phases.spectra_rows import Table
from priorwise.phases.training_options import TrainingOptions
from priorwise.pu.selection import proxy_f1
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.encoder import in_bfloat16, steady
from priorwise.spectra.facts import inspect
from priorwise.spectra.objective import Objective
from priorwise.spectra.probabilities import probabilities
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.simulate import Simulation, read_truth, write
from priorwise.store.tables import open_pinned

SEEDS, WITHIN = 10, 0.01
DRAWN, BUCKETS, BFLOAT16 = "drawn independently", "length buckets", "length buckets, bfloat16"
MODES = {
    DRAWN: {"length_window": 1},
    BUCKETS: {"length_window": 64},
    BFLOAT16: {"length_window": 64, "precision": "bf16"},
}
DEMO = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"
MEASURES = ("accuracy", "proxy_f1")


@dataclass(frozen=True)
class Training:
    """One training to be done, and what judges it."""

    mode: str
    options: TrainingOptions
    root: str
    pi: dict[str, float]
    s: dict[str, float]


def run(setting: Setting) -> Report:
    """Train with every seed, and compare."""
    seeds = range(setting.seed, setting.seed + (2 if setting.quick else SEEDS))
    recipe = yaml.safe_load(DEMO.read_text())
    n_train = 1_000 if setting.quick else 12_000
    with tempfile.TemporaryDirectory() as folder:
        root = str(Path(folder) / "simulated")
        tables = write(
            Simulation(n_train=n_train, n_test=4_000 if setting.quick else 20_000, max_peaks=64),
            root,
        )
        true = tables.manifest["true"]
        pi, s = ({mode: true[mode][name] for mode in true} for name in ("pi", "s"))
        base = TrainingOptions(**recipe["training"])
        jobs = [
            Training(mode, replace(base, seed=seed, **given), root, pi, s)
            for seed in seeds
            for mode, given in MODES.items()
        ]
        found = run_jobs(_judged, jobs, setting.threads, "quality")
        lengths = load_rows(open_pinned(f"{root}/train_data")).lengths
    turns = pd.DataFrame(found)
    table, goals = compared(turns)
    used = [
        f"{n_train} rows of {lengths.min()} to {lengths.max()} peaks, {base.epochs} epochs, "
        f"batches of {base.batch_size}; seeds {seeds.start} to {seeds.stop - 1}; one thread each",
    ]
    labels = {"accuracy": "accuracy, against the truth", "proxy_f1": "proxy F1"}
    title = "what buckets and bfloat16 cost (dots: seeds)"
    figure = dots(turns, "line", labels, title, ours=[BUCKETS, BFLOAT16])
    report = Report("quality", title, used, table, goals, {"": figure}, files={"_seeds": turns})
    return present(report, setting.out)


def compared(turns: pd.DataFrame) -> tuple[pd.DataFrame, list[Goal]]:
    """Means, paired differences from the first mode, and their 95 % intervals."""
    lines, goals = [], []
    for mode in MODES:
        line: dict[str, object] = {"line": mode}
        for measure in MEASURES:
            by_seed = turns.pivot(index="seed", columns="line", values=measure)
            line[measure] = by_seed[mode].mean()
            if mode == DRAWN:
                continue
            change = (by_seed[mode] - by_seed[DRAWN]).to_numpy()
            error = change.std(ddof=1) / np.sqrt(len(change))
            half = float(stats.t.ppf(0.975, len(change) - 1) * error)
            low, high = change.mean() - half, change.mean() + half
            line[f"{measure}, change"] = change.mean()
            line[f"{measure}, 95 %"] = f"{low:+.4f} to {high:+.4f}"
            what = f"{mode}: {measure}, farthest end of the interval of the change"
            goals.append(Goal(what, max(abs(low), abs(high)), WITHIN, sign="<="))
        lines.append(line)
    return pd.DataFrame(lines), goals


def _judged(training: Training) -> dict[str, float | int | str]:
    """Train, and judge the best checkpoint."""
    root, options = Path(training.root), training.options
    facts = [inspect(str(root), name)[1] for name in ("train_data", "validation_data")]
    with tempfile.TemporaryDirectory() as folder:
        job = SpectraJob(
            options=replace(options, monitor="proxy_f1"),
            polarity="both",
            objective=Objective("nnpu", scenario="censoring", pi=training.pi, s=training.s),
            train=Table.of(facts[0]),
            validation=Table.of(facts[1]),
            folder=folder,
        )
        best = run_job(job, NullRecorder(), StopRequest()).best
        network = in_bfloat16(steady(load_network(best)), options.precision == "bf16")
    rows = load_rows(open_pinned(str(root / "test_3" / "test_data")))
    called = probabilities(network, rows) > 0.5
    y = read_truth(str(root), "test_3/test_data")["y"].to_numpy() == 1
    scores = []
    for positive, mode in ((True, "positive"), (False, "negative")):
        here = rows.positive.numpy() == positive
        labelled = here & (rows.s.numpy() == 1)
        scores.append(proxy_f1(called[labelled].mean(), called[here].mean(), training.pi[mode]))
    return {
        "line": training.mode,
        "seed": options.seed,
        "accuracy": float((called == y).mean()),
        "proxy_f1": float(np.mean(scores)),
    }
