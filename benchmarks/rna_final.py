"""Part `final`: the best that 30 minutes on 2 cores give, and the test partitions, once.

Trained on TR0 (at most 99 nt) by configs/rna_cpu.yaml, with features by configs/rna_bpp.yaml. The
epoch is chosen on VL0 and CUT, the threshold on VL0; TS0 and NEW are looked at once, at the end. If
the recipe would not fit into the budget on this machine, it gets fewer epochs, and that is said.

Kept under the output folder: final/ (with features final_bpp/): the network folder `model`, the
history, the published metrics file, the checkpoints, the curve of the threshold.

With --checkpoint no training: a network folder, or a checkpoint of a training by the same recipe.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.rna_final_tables import figure_of, goals_of, methods_table, strata_table
from benchmarks.rna_runs import Trained, scratch, train, validated
from benchmarks.rna_setting import Setting
from benchmarks.rna_tables import Goal, Report, present
from priorwise.phases.rna_fit import RnaJob
from priorwise.phases.rna_options import RnaPretrain
from priorwise.plots.metrics_figures import summary
from priorwise.plots.strict_f1 import f1_by_stratum
from priorwise.rna.checkpoint import save_network
from priorwise.rna.decoding import Decoder
from priorwise.rna.evaluation import PartEvaluation, evaluate_part
from priorwise.rna.features import feature_maps
from priorwise.rna.history import METRICS_FILE, by_epoch, read_metrics
from priorwise.rna.predict import predict
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import SavedRnaModel, load_saved_model
from priorwise.rna.schema import SCHEMA_NAME
from priorwise.rna.scoring import StrictScores
from priorwise.rna.threshold import Example, choose_threshold
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


def run(setting: Setting) -> Report:
    """Train or load, evaluate, show."""
    torch.set_num_threads(setting.threads)
    with_features = setting.features != "none"
    name = "final" + (f"_{setting.features.replace(',', '_')}" if with_features else "")
    folder, clock = setting.out / name, Clock()
    training, validation = setting.rows("TR0"), setting.rows("VL0", "CUT")
    options = _options(setting, with_features)
    figures = {}
    if setting.checkpoint is None:
        done, used = _trained(options, training, validation, folder, setting, clock)
        _save(done.result.best, options, folder, training, validation)
        metrics = by_epoch(read_metrics(folder / METRICS_FILE))
        drawn = summary(metrics, f"{name}: TR0, VL0 and CUT")
        figures |= {"_training": drawn} if drawn is not None else {}
    else:
        used = [f"not trained here: {setting.checkpoint}"]
        if not setting.checkpoint.is_dir():
            _save(setting.checkpoint, options, folder, training, validation)
    given = setting.checkpoint
    model = load_saved_model(given if given is not None and given.is_dir() else folder / "model")
    used += [
        f"{len(training)} sequences of TR0, {len(validation)} of VL0 and CUT; {setting.threads} "
        f"thread(s); features: {', '.join(model.features) or 'none'}; decoder: "
        f"{model.decoder.method}, threshold {model.threshold:.2f}"
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


def _options(setting: Setting, with_features: bool) -> RnaPretrain:
    more = {"num_epochs": setting.epochs} if setting.epochs else {}
    if with_features:
        more["features"] = setting.features
    return setting.options(setting.recipe_of(with_features), **more)


def _trained(
    options: RnaPretrain,
    training: RnaRows,
    validation: RnaRows,
    folder: Path,
    setting: Setting,
    clock: Clock,
) -> tuple[Trained, list[str]]:
    """Train within the budget; the training, and what to say of it."""
    sets, workers = options.feature_sets, setting.threads
    maps = [feature_maps(r.sequences(), sets, workers=workers) for r in (training, validation)]
    before = clock.wall
    job = RnaJob(options, training, validation, folder, *maps)
    epochs = affordable(job, USABLE * 60 * setting.minutes - before)
    said = []
    if epochs < options.num_epochs:
        said.append(
            f"{epochs} epochs instead of the recipe's {options.num_epochs}: more would not fit "
            f"into {setting.minutes:g} minutes on this machine"
        )
        job = replace(job, options=replace(options, num_epochs=epochs, patience=epochs))
    done = train(job)
    best = done.result.best_metrics
    minutes = clock.wall / 60
    inside = "within" if minutes <= setting.minutes else "NOT within"
    return done, [
        *said,
        f"trained for {minutes:.1f} min of wall clock ({before:.0f} s of it before the training: "
        f"data, features, cut), {clock.cpu / 60:.1f} min of CPU: {inside} {setting.minutes:g} min",
        f"kept: epoch {best['best_epoch'] + 1:.0f} of {len(done.history)}, {options.monitor} "
        f"{best.get(options.monitor, float('nan')):.4f}; seed {options.seed}",
    ]


def affordable(job: RnaJob, seconds: float) -> int:
    """Epochs of the job that fit into so many seconds, at most its own; from a short trial."""
    if len(job.train) <= TRIAL:
        return job.options.num_epochs
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.permutation(len(job.train))[:TRIAL])
    judged = np.sort(rng.permutation(len(job.validation))[: TRIAL // 4])
    train_rows, validation_rows = job.train.take(chosen), job.validation.take(judged)
    sets = job.options.feature_sets
    trial_options = replace(job.options, num_epochs=1, warmup_steps=0)
    with scratch() as folder:
        trial = replace(
            job,
            options=trial_options,
            train=train_rows,
            validation=validation_rows,
            folder=folder,
            train_features=feature_maps(train_rows.sequences(), sets),
            validation_features=feature_maps(validation_rows.sequences(), sets),
        )
        done = train(trial)
    judging = max(done.wall - done.seconds, 0) / len(judged)
    epoch = done.seconds * len(job.train) / TRIAL + judging * len(job.validation)
    return max(1, min(job.options.num_epochs, int(seconds / epoch)))


def _save(
    checkpoint: Path, options: RnaPretrain, folder: Path, training: RnaRows, validation: RnaRows
) -> None:
    """Write the network folder, with the threshold that is best on VL0."""
    job = RnaJob(options, training, validation, folder)
    description = {
        "phase": "rna_pretrain",
        "schema": SCHEMA_NAME,
        "training_run": "",
        "decoder": job.decoder().to_dict(),
        "threshold": job.decoder().threshold,
        "rule": "given",
        "features": list(options.feature_sets),
        "longest": options.max_len - 2 if options.positions == "learned" else 0,
        "training_data": f"{len(training):,} sequences of TR0 ({len(training.pairs):,} pairs)",
        "train_partition": "TR0",
    }
    target = folder / "model"
    save_network(checkpoint, target, options.network(), description)
    if options.threshold != "auto":
        return
    model = load_saved_model(target)
    choice = choose_threshold(model.decoder, _examples(model, validation.of_partition("VL0")))
    choice.curve.to_csv(folder / "threshold_curve.csv", index=False)
    description |= {"threshold": choice.decoder.threshold, "rule": "best strict F1 on VL0"}
    save_network(checkpoint, target, options.network(), description)


def _examples(model: SavedRnaModel, rows: RnaRows) -> Iterator[Example]:
    maps = feature_maps(rows.sequences(), model.features)
    for found in predict(model.network, rows, maps):
        yield Example(found.pairs, rows.tokens_of_row(found.row), rows.pairs_of_row(found.row))


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
