"""Part `final`: the best that 30 minutes on 2 cores give, and the test partitions, once.

Trained on TR0 (at most 99 nt): two networks, one by configs/rna_cpu.yaml and one by
configs/rna_teacher.yaml, with features a third by configs/rna_bpp.yaml (and 45 minutes); each on
one core. The model is their mean answer, as `rna_ensemble` makes it. The epochs and the reading are
chosen on VL0 and CUT, the threshold on VL0; TS0 and NEW are looked at once, at the end. If a recipe
would not fit into the budget on this machine, it gets fewer epochs, and that is said.

Kept under the output folder: final/ (with features final_bpp/): the network folder `model`, what
was tried for the reading and the threshold; and for each network the history, the published metrics
file, the checkpoints.

With --checkpoint no training: a network folder, or checkpoints of trainings by these recipes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.report import own_arithmetic, run_jobs
from benchmarks.rna_final_tables import figure_of, goals_of, methods_table, strata_table
from benchmarks.rna_runs import scratch, train, validated
from benchmarks.rna_setting import Setting
from benchmarks.tables import Goal, Report, present
from priorwise.errors import BadInput
from priorwise.phases.rna_finish import finish, together
from priorwise.phases.rna_fit import RnaJob
from priorwise.plots.metrics_figures import summary
from priorwise.plots.strict_f1 import f1_by_stratum
from priorwise.rna.decoding import Decoder
from priorwise.rna.evaluation import PartEvaluation, evaluate_part
from priorwise.rna.features import feature_maps
from priorwise.rna.history import METRICS_FILE, by_epoch, read_metrics
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import SavedRnaModel, load_saved_model
from priorwise.rna.scoring import StrictScores
from priorwise.rna.viennarna import is_installed

PARTITIONS = ("VL0", "CUT", "TS0", "NEW")
TESTS = ("TS0", "NEW")
RESAMPLES = 1000
#: of the budget that the epochs may take; the rest is for what comes before and after them
USABLE = 0.9
#: rows of the trial by which the duration of an epoch is foretold
TRIAL = 640


@dataclass
class Clock:
    """Wall clock and CPU time since its making."""

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds over all threads of this process."""
        return time.process_time() - self._cpu


@dataclass(frozen=True)
class Member:
    """A training that becomes part of the model.

    Attributes
    ----------
    checkpoint : pathlib.Path
        Of the best epoch.
    metrics : dict
        Of that epoch.
    epochs : int
    cpu : float
        Seconds.
    """

    checkpoint: Path
    metrics: dict[str, float]
    epochs: int
    cpu: float


def run(setting: Setting) -> Report:
    """Train or load, evaluate, show."""
    torch.set_num_threads(setting.threads)
    with_features = setting.features != "none"
    name = "final" + (f"_{setting.features.replace(',', '_')}" if with_features else "")
    folder, clock = setting.out / name, Clock()
    training, validation = setting.rows("TR0"), setting.rows("VL0", "CUT")
    jobs = _jobs(setting, training, validation, folder)
    figures = {}
    given = setting.checkpoints
    if not given:
        members, used = _trained(jobs, setting, clock)
        _save(jobs, [m.checkpoint for m in members], folder)
        for job in jobs:
            metrics = by_epoch(read_metrics(job.folder / METRICS_FILE))
            drawn = summary(metrics, f"{name}, {job.folder.name}: TR0, VL0 and CUT")
            figures |= {f"_{job.folder.name}": drawn} if drawn is not None else {}
    else:
        used = [f"not trained here: {', '.join(map(str, given))}"]
        if not given[0].is_dir():
            _save(jobs, given, folder)
    model = load_saved_model(given[0] if given and given[0].is_dir() else folder / "model")
    used += [
        f"{len(training)} sequences of TR0, {len(validation)} of VL0 and CUT; {setting.jobs} "
        f"training(s) at once; features: {', '.join(model.features) or 'none'}; decoder: "
        f"{model.decoder.method}, threshold {model.threshold:.2f}, penalty of pairs other than AU, "
        f"GC, GU {model.decoder.noncanonical_penalty:g}, share of thermodynamics "
        f"{model.folding_weight:g}, say of the loop types {model.decoder.stem_weight:g}, threshold "
        f"lower by {model.decoder.doubt_discount:g} of the doubt",
    ]
    parts = [_evaluated(model, setting, part, training) for part in PARTITIONS]
    parts = [part for part in parts if part is not None]
    table = methods_table(parts, RESAMPLES)
    for part in parts:
        if part.partition in TESTS:
            similar = part.by_similarity(RESAMPLES)
            what = "similarity to the nearest sequence trained on"
            figures[f"_{part.partition}"] = f1_by_stratum(
                similar, what, f"{name}: {part.partition}"
            )
    goals = [*goals_of(table, with_features), *_seed_goals(model, validation.of_partition("VL0"))]
    title = "trained on TR0, chosen on VL0 and CUT; TS0 and NEW looked at once"
    others = {"_similarity": strata_table(parts, RESAMPLES)}
    report = Report(
        name, title, used, table, goals, {"": figure_of(table, name), **figures}, others
    )
    return present(report, setting.out)


def _jobs(setting: Setting, training: RnaRows, validation: RnaRows, folder: Path) -> list[RnaJob]:
    """One training for each recipe, with seeds that follow each other."""
    more = {"num_epochs": setting.epochs} if setting.epochs else {}
    jobs = []
    for place, recipe in enumerate(setting.joined_recipes()):
        options = setting.options({**recipe, "seed": setting.seed + place}, **more)
        where = folder / f"network_{place + 1}"
        jobs.append(RnaJob(options, training, validation, where))
    return jobs


def _trained(
    jobs: Sequence[RnaJob], setting: Setting, clock: Clock
) -> tuple[list[Member], list[str]]:
    """Train side by side within the budget; what to say of it."""
    for job in jobs:
        job.sources()  # folds the sequences, where that is wanted
    before = clock.wall
    processes = min(setting.jobs, len(jobs))
    seconds = (USABLE * 60 * setting.budget() - before) * processes / len(jobs)
    said, fitting = [], []
    for job in jobs:
        with own_arithmetic():
            epochs = affordable(job, seconds)
        if epochs < job.options.num_epochs:
            said.append(
                f"{job.folder.name}: {epochs} epochs instead of the recipe's "
                f"{job.options.num_epochs}: more would not fit into {setting.budget():g} minutes "
                "on this machine"
            )
            shorter = replace(job.options, num_epochs=epochs, patience=epochs)
            job = replace(job, options=shorter).with_maps_of(job)
        fitting.append(job)
    members = run_jobs(_member, fitting, processes, f"{len(jobs)} trainings of one thread")
    minutes = clock.wall / 60
    inside = "within" if minutes <= setting.budget() else "NOT within"
    cpu = clock.cpu + sum(member.cpu for member in members if processes > 1)
    said.append(
        f"trained for {minutes:.1f} min of wall clock ({before:.0f} s of it before the training: "
        f"data, pair probabilities, cut), {cpu / 60:.1f} min of CPU: {inside} "
        f"{setting.budget():g} min"
    )
    for job, member in zip(fitting, members, strict=True):
        chosen = member.metrics.get(job.options.monitor, float("nan"))
        said.append(
            f"{job.folder.name}: seed {job.options.seed}, features {job.options.features}, teacher "
            f"{job.options.teacher}; kept epoch {member.metrics['best_epoch'] + 1:.0f} of "
            f"{member.epochs}, {job.options.monitor} {chosen:.4f}; {member.cpu / 60:.1f} min of CPU"
        )
    return members, said


def _member(job: RnaJob) -> Member:
    """Train one; in a process of its own, as a rule."""
    done = train(job)
    best = done.result.best
    return Member(best, done.result.best_metrics, len(done.history), done.cpu)


def affordable(job: RnaJob, seconds: float) -> int:
    """Epochs of the job that fit into so many seconds, at most its own; from a short trial."""
    if len(job.train) <= TRIAL:
        return job.options.num_epochs
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(job.train))[:TRIAL])
    train_rows = job.train.take(chosen)
    trial_options = replace(job.options, num_epochs=1, warmup_steps=0)
    with scratch() as folder:
        trial = replace(
            job,
            options=trial_options,
            train=train_rows,
            folder=folder,
        )
        trial.sources()  # folds its sequences: no part of an epoch
        done = train(trial)
    judging = max(done.wall - done.seconds, 0)  # all of it: what a trial costs once is not scaled
    epoch = done.seconds * len(job.train) / TRIAL + judging
    return max(1, min(job.options.num_epochs, int(seconds / epoch)))


def _save(jobs: Sequence[RnaJob], checkpoints: Sequence[Path], folder: Path) -> None:
    """Write the network folder of the joined model, with what is chosen on VL0 and CUT."""
    training, validation = jobs[0].train, jobs[0].validation
    description = {
        "phase": "rna_pretrain",
        "training_run": "",
        "training_data": f"{len(training):,} sequences of TR0 ({len(training.pairs):,} pairs)",
        "train_partition": "TR0",
    }
    if len(checkpoints) != len(jobs):
        raise BadInput(
            f"--checkpoint: {len(checkpoints)} of them (expected {len(jobs)}, or a folder)"
        )
    trained = together(
        [job.trained(path, description) for job, path in zip(jobs, checkpoints, strict=True)]
    )
    maps = feature_maps(validation.sequences(), trained.description["features"])
    finished = finish(trained, jobs[0].options, validation, maps, folder)
    for name, choice in (("reading", finished.reading), ("threshold_curve", finished.threshold)):
        if choice is not None:
            choice.table.to_csv(folder / f"{name}.csv", index=False)


def _seed_goals(model: SavedRnaModel, rows: RnaRows) -> list[Goal]:
    """What else the seed asks for."""
    maps = feature_maps(rows.sequences(), model.features)
    found = validated(model.network, rows, 1, features=maps)
    return [
        Goal("VL0: MLM accuracy", found["mlm_accuracy"], 0.35, sign=">"),
        Goal("VL0: loss on the seed's scale", found["loss"], 1.8, sign="<"),
    ]


def _evaluated(
    model: SavedRnaModel, setting: Setting, name: str, training: RnaRows
) -> PartEvaluation | None:
    """One partition, with RNAfold, the copies and the mean of the feature maps as other rows."""
    try:
        rows = setting.rows(name)
    except SystemExit:
        print(f"no rows of {name}: left out")
        return None
    found = evaluate_part(model, model.decoder, name, rows, training, is_installed())
    if not model.features:
        return found
    maps = feature_maps(rows.sequences(), model.features)
    decoder, true, called = Decoder("greedy", 0.5), [], []
    for row in range(len(rows)):
        n = int(rows.lengths[row])
        mean = maps.padded([row], n)[0].numpy().mean(-1) if maps is not None else np.zeros((n, n))
        called.append(decoder.decode(mean, rows.tokens_of_row(row)))
        true.append(rows.pairs_of_row(row))
    scores = {**found.scores, "mean bpp > .5": StrictScores.of(called, true)}
    return replace(found, scores=scores)
