"""Multi-task pretraining on RNA: masked nucleotides, loop types and base pairs."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from priorwise.errors import BadInput, Interrupted
from priorwise.learn.network_folder import retell
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.rna_checks import check_rows
from priorwise.phases.rna_data import read_rna
from priorwise.phases.rna_fit import RnaJob, run_rna_job
from priorwise.phases.rna_model import log_rna_model
from priorwise.phases.rna_options import RnaPretrain
from priorwise.phases.run_folder import HISTORY, keep_for_resume, last_checkpoint, working_folder
from priorwise.plots.metrics_figures import FIGURES
from priorwise.rna.checkpoint import save_network
from priorwise.rna.features import feature_maps
from priorwise.rna.history import METRICS_FILE, PublishedHistory, by_epoch, read_metrics
from priorwise.rna.predict import predict
from priorwise.rna.read_rows import load_rows
from priorwise.rna.saved_model import load_saved_model, read_description
from priorwise.rna.schema import CUT, SCHEMA_NAME
from priorwise.rna.table import RnaFacts
from priorwise.rna.threshold import Example, ThresholdChoice, choose_threshold
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
    config = plan.config
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
        with track.system_metrics(config.log_system_metrics):
            result = run_rna_job(job, recorder, desk.stop)
    except BaseException as error:
        keep_for_resume(folder, track, METRICS_FILE)
        if isinstance(error, Interrupted):
            say(
                f"to go on, start {plan.phase} again with resume={track.run_id} and the same "
                "parameters"
            )
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
    return RnaJob(
        config,
        train,
        validation,
        folder,
        feature_maps(train.sequences(), config.feature_sets),
        feature_maps(validation.sequences(), config.feature_sets),
    )


def _log_outcome(result: FitResult, job: RnaJob, plan: Plan, track: RunTrack) -> None:
    config, folder = plan.config, job.folder
    best = track.artifact(result.best, "checkpoints")
    track.artifact(result.last, "checkpoints")
    for name in (HISTORY, METRICS_FILE):
        track.artifact(folder / name)
    log_rna_model(track, _finished_network(result, job, plan, track))
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


def _finished_network(result: FitResult, job: RnaJob, plan: Plan, track: RunTrack) -> Path:
    """The network folder of the kept epoch, with its threshold."""
    config = plan.config
    undecided, network = job.folder / "undecided", job.folder / "model"
    description = _describe(plan, track.run_id, job)
    save_network(result.best, undecided, config.network(), description)
    choice = _calibrated(undecided, job)
    decided = {}
    if choice is not None:
        track.text(choice.curve.to_csv(index=False), "threshold_curve.csv")
    if choice is not None and config.threshold == "auto":
        threshold = choice.decoder.threshold
        decided = {"threshold": threshold, "rule": f"best strict F1 on {config.val_partition}"}
        say(f"threshold {threshold:.2f}: strict F1 {choice.f1:.4f} on {config.val_partition}")
        track.metrics({"threshold": threshold, "val_strict_f1_at_threshold": choice.f1})
    retell(undecided, network, read_description(undecided), **decided)
    return network


def _describe(plan: Plan, run_id: str, job: RnaJob) -> dict[str, Any]:
    """The description of the model (see `rna.saved_model`)."""
    config, facts = plan.config, plan.tables["training"]
    return {
        "phase": plan.phase,
        "schema": SCHEMA_NAME,
        "training_run": run_id,
        "decoder": job.decoder().to_dict(),
        "threshold": job.decoder().threshold,
        "rule": "given",
        "features": list(config.feature_sets),
        "longest": config.max_len - 2 if config.positions == "learned" else 0,
        "training_data": f"{len(job.train):,} sequences of partition {config.train_partition} "
        f"({len(job.train.pairs):,} pairs) of {facts.n_rows():,} in {Path(facts.uri).name}",
        "training_digest": facts.digest,
        "train_partition": config.train_partition,
    }


def _calibrated(network_folder: Path, job: RnaJob) -> ThresholdChoice | None:
    """Choose the threshold on the validation partition; None if it has no structures."""
    rows, partition = job.validation, job.options.val_partition
    chosen = rows.labelled & (np.array(rows.partitions) == partition)
    if not chosen.any():
        return None
    model = load_saved_model(network_folder)
    examples = (
        Example(found.pairs, rows.tokens_of_row(found.row), rows.pairs_of_row(found.row))
        for found in predict(model.network, rows, job.validation_features)
        if chosen[found.row]
    )
    return choose_threshold(model.decoder, examples)
