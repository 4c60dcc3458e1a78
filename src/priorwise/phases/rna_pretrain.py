"""Multi-task pretraining on RNA: masked nucleotides, loop types and base pairs."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.rna_checks import check_rows
from priorwise.phases.rna_data import read_rna
from priorwise.phases.rna_finish import finish, tell
from priorwise.phases.rna_fit import RnaJob, run_rna_job
from priorwise.phases.rna_model import log_rna_model
from priorwise.phases.rna_options import RnaPretrain
from priorwise.phases.run_folder import (
    HISTORY,
    keep_checkpoint,
    keep_for_resume,
    last_checkpoint,
    working_folder,
)
from priorwise.phases.slurm import tell_how_to_go_on
from priorwise.plots.metrics_figures import FIGURES
from priorwise.rna.history import METRICS_FILE, PublishedHistory, by_epoch, read_metrics
from priorwise.rna.read_rows import load_rows
from priorwise.rna.schema import CUT
from priorwise.rna.table import RnaFacts
from priorwise.store.protection import protected
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.runs import RunTrack
from priorwise.training.fit import FitResult

Config = RnaPretrain
#: metrics of the kept epoch that are put on the run under `best.`
KEPT = (
    *("val_strict_f1", "cut_strict_f1", "selection_f1", "val_ap", "val_pair_f1"),
    *("val_pair_precision", "val_pair_recall", "val_structure_accuracy", "val_mlm_accuracy"),
    *("val_loss", "val_loss_seed"),
)


def prepare(config: RnaPretrain, desk: Desk) -> Plan:
    """Read and check the table."""
    _, facts = read_rna(config.data, desk)
    for parameter in ("train_partition", "val_partition"):
        _require(facts, parameter, config)
    return Plan(
        phase="rna_pretrain",
        polarity="",
        config=config,
        tables={"training": facts},
        fingerprint=fingerprint("rna_pretrain", asdict(config), [facts.digest], {}),
        tags={"model_size": config.model_size, "pair_head": config.pair_head},
    )


def _require(facts: RnaFacts, parameter: str, config: RnaPretrain) -> None:
    """Refuse a table that does not hold what the training needs; nothing is made up instead."""
    partition = getattr(config, parameter)
    if not facts.n_rows(partition):
        there = ", ".join(sorted(facts.partitions)) or "none"
        raise BadInput(
            f"{facts.uri}: no sequence of partition {partition} ({parameter}; there are: {there})"
        )
    for name, found, what in (
        ("structure_loss_weight", facts.n_labelled(partition), "structure"),
        ("pair_loss_weight", facts.n_pairs(partition), "base pair"),
    ):
        weight = getattr(config, name)
        if weight and not found:
            raise BadInput(
                f"{facts.uri}: no sequence of partition {partition} has a {what}, but {name} is "
                f"{weight:g} (expected structures, or weights of 0 for pairs and structure)"
            )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Train, choose the threshold, and leave checkpoints, model, history and figures on the run."""
    config, facts = plan.config, plan.tables["training"]
    folder = working_folder(config.out, track.run_id)
    job = _job(plan, folder)
    if config.resume:
        job = replace(job, resume_from=last_checkpoint(folder, track.run_id, desk))
    track.metrics({"n_train": len(job.train), "n_validation": len(job.validation)})
    history = folder / HISTORY
    recorder = PublishedHistory(
        folder / METRICS_FILE, job.steps_per_epoch(), track.recorder(history)
    )
    try:
        with (
            protected([(facts.uri, facts.version)], track.run_id, say),
            track.system_metrics(config.log_system_metrics),
        ):
            result = run_rna_job(job, recorder, desk.stop)
        track.settle()
    except BaseException as error:
        keep_for_resume(folder, track, METRICS_FILE)
        tell_how_to_go_on(error, plan.phase, track)
        raise
    _log_outcome(result, job, plan, track)


def _job(plan: Plan, folder: Path) -> RnaJob:
    """Read the rows, and fold them where the network wants it."""
    config, facts = plan.config, plan.tables["training"]
    pinned = open_pinned(facts.uri, facts.version)
    longest = config.max_len - 2
    train, too_long = load_rows(pinned, [config.train_partition], longest)
    validation, of_these = load_rows(pinned, [config.val_partition, CUT], longest)
    if too_long or of_these:
        say(
            f"{too_long} sequences to train on and {of_these} to validate with have more than "
            f"{longest} bases (max_len - 2) and are left out"
        )
    if config.max_samples and config.max_samples < len(train):
        train = train.take(range(config.max_samples))
    check_rows(config, train, validation)
    cut = validation.partitions.count(CUT)
    say(
        f"{len(train)} sequences to train on ({len(train.pairs)} pairs), "
        f"{len(validation) - cut} to validate with, and {cut} cut out by similarity"
    )
    return RnaJob(config, train, validation, folder)


def _log_outcome(result: FitResult, job: RnaJob, plan: Plan, track: RunTrack) -> None:
    config, folder = plan.config, job.folder
    best = keep_checkpoint(result.best, track)
    keep_checkpoint(result.last, track)
    for name in (HISTORY, METRICS_FILE):
        track.artifact(folder / name)
    trained = job.trained(result.best, _describe(plan, track.run_id, job))
    finished = finish(trained, config, job.validation, job.validation_maps, folder)
    tell(finished, config, track)
    log_rna_model(track, finished.network)
    metrics = by_epoch(read_metrics(folder / METRICS_FILE))
    for name, draw in FIGURES.items():
        target = {"target": config.ast_target_activation} if name == "lr_activation" else {}
        figure = draw(metrics, plan.run_name, **target)
        if figure is not None:
            track.figure(figure, name)
    kept = {f"best.{name}": v for name, v in result.best_metrics.items() if name in KEPT}
    best_epoch = result.best_metrics.get("best_epoch", float("nan"))
    epochs = pd.read_csv(folder / HISTORY)
    track.metrics({**kept, "best_epoch": best_epoch, "epochs_run": float(len(epochs))})
    track.tags({"checkpoint.path": best, "checkpoint.sha256": file_sha256(result.best)})
    value = result.best_metrics.get(config.monitor, float("nan"))
    say(f"kept: epoch {best_epoch + 1:.0f}, {config.monitor} {value:.4f} ({result.best.name})")


def _describe(plan: Plan, run_id: str, job: RnaJob) -> dict[str, Any]:
    """What the model says of its origin (see `rna.saved_model`)."""
    config, facts = plan.config, plan.tables["training"]
    return {
        "phase": plan.phase,
        "training_run": run_id,
        "training_data": f"{len(job.train):,} sequences of partition {config.train_partition} "
        f"({len(job.train.pairs):,} pairs) of {facts.n_rows():,} in {Path(facts.uri).name}",
        "training_digest": facts.digest,
        "train_partition": config.train_partition,
    }
