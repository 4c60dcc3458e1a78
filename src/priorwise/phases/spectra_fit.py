"""What both spectra trainings share: options, the job itself, and logging its outcome."""

import json
import math
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from priorwise.errors import BadInput
from priorwise.learn.loader import RowLoader
from priorwise.learn.recorder import NullRecorder, Recorder
from priorwise.learn.stopping import StopRequest
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.handing_over import hand_over, handed_over
from priorwise.phases.run_folder import (
    HISTORY,
    keep_checkpoint,
    keep_for_resume,
    last_checkpoint,
    working_folder,
)
from priorwise.phases.slurm import tell_how_to_go_on
from priorwise.phases.spectra_model import describe, log_spectra_model
from priorwise.phases.spectra_rows import Table, order_of, rows_of
from priorwise.phases.training_options import TrainingOptions
from priorwise.plots.curves import training_curves
from priorwise.spectra.checkpoint import read_checkpoint, save_network
from priorwise.spectra.module import SpectraModule
from priorwise.spectra.objective import Objective
from priorwise.spectra.rows import SpectraBatch
from priorwise.store.protection import protected
from priorwise.tracking.fingerprint import file_sha256
from priorwise.tracking.runs import RunTrack
from priorwise.training.fit import FitPlan, FitResult, fit
from priorwise.training.ranks import processes, rank_of_process

#: c, s and pi by polarity
Priors = dict[str, dict[str, Any]]
#: shown beside `recall` for the best epoch
JUDGES = ("q", "pu_f", "labelled_auc", "proxy_f1", "proxy_accuracy", "pu_auc", "q_gap", "nnpu_risk")


@dataclass(frozen=True)
class SpectraJob:
    """One training, fully decided: any process that gets it does the same work."""

    options: TrainingOptions
    polarity: str
    objective: Objective
    train: Table
    validation: Table
    folder: str
    init: str = ""  # checkpoint to start from
    resume_from: str = ""

    def to_json(self) -> str:
        """For the ranks."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "SpectraJob":
        """Rebuild what `to_json` wrote."""
        values = json.loads(text)
        known = TrainingOptions.__dataclass_fields__
        options = TrainingOptions(**{k: v for k, v in values.pop("options").items() if k in known})
        objective = Objective(**values.pop("objective"))
        train, validation = (Table(*values.pop(name)) for name in ("train", "validation"))
        return cls(
            options=options,
            objective=objective,
            train=train,
            validation=validation,
            **values,
        )


def run_job(job: SpectraJob, recorder: Recorder, stop: StopRequest) -> FitResult:
    """Read the pinned tables, build the module, fit."""
    options = job.options
    devices = processes(options.devices)
    rank, world = rank_of_process(options.devices), devices * options.num_nodes

    def loader(table: Table, shuffle: bool) -> RowLoader[SpectraBatch]:
        rows = rows_of(table, job.polarity, options, world)
        order = order_of(rows, options, shuffle, rank, world)
        return RowLoader(rows, order, options.num_workers)

    network = {
        "d_model": options.d_model,
        "n_layers": options.n_layers,
        "dropout": options.dropout,
        "instrument_embedding_dim": options.instrument_embedding_dim,
    }
    module = SpectraModule(
        network,
        job.objective,
        encoder_lr=options.encoder_lr,
        linear_lr=options.linear_lr,
        weight_decay=options.weight_decay,
        seed=options.seed,
        bfloat16=options.precision == "bf16",
        compiled=options.torch_compile,
    )
    if job.init:
        architecture, state = read_checkpoint(Path(job.init))
        differs = {k: v for k, v in network.items() if k != "dropout" and architecture.get(k) != v}
        if differs:
            raise BadInput(f"init_from: the checkpoint has another architecture ({differs} wanted)")
        module.network.load_state_dict(state)
    plan = FitPlan(
        epochs=options.epochs,
        patience=options.patience,
        monitor=options.monitor,
        devices=devices,
        num_nodes=options.num_nodes,
        strategy=options.strategy,
        folder=Path(job.folder),
        resume_from=Path(job.resume_from) if job.resume_from else None,
        degenerate=job.objective.degenerate,
        degenerate_patience=options.degenerate_patience,
        half_precision=options.precision == "auto",
        log_every_n_steps=options.log_every_n_steps,
    )
    with (
        closing(loader(job.train, shuffle=True)) as train,
        closing(loader(job.validation, shuffle=False)) as validation,
    ):
        return fit(module, train, validation, plan, recorder, stop)


def run_rank(stop: StopRequest) -> None:
    """The part of a rank other than 0: the fit, and nothing of the phase around it."""
    job = SpectraJob.from_json(handed_over(stop))
    run_job(job, NullRecorder(), stop)


def train_and_log(
    job: SpectraJob, plan: Plan, desk: Desk, track: RunTrack, priors: Priors | None = None
) -> FitResult:
    """Fit as rank 0 and put everything it leaves behind on the run.

    `priors` are those of the loss, by polarity, for the description of the model.
    """
    folder = working_folder(job.options.out, track.run_id)
    history = folder / HISTORY
    if job.options.resume:
        last = last_checkpoint(folder, track.run_id, desk)
        job = replace(job, resume_from=str(last) if last else "")
    job = replace(job, folder=str(folder))
    try:
        tables = [table[:2] for table in (job.train, job.validation)]
        with (
            protected(tables, track.run_id, say),
            hand_over(job.to_json(), folder / "job.json", job.options.num_nodes),
        ):
            result = run_job(job, track.recorder(history), desk.stop)
            track.settle()
    except BaseException as error:
        keep_for_resume(folder, track)
        tell_how_to_go_on(error, plan.phase, track)
        raise
    _log_outcome(result, history, plan, track, folder, priors)
    _warn_of_degenerate(result, job.objective, track)
    return result


def _log_outcome(
    result: FitResult,
    history: Path,
    plan: Plan,
    track: RunTrack,
    folder: Path,
    priors: Priors | None,
) -> None:
    best = keep_checkpoint(result.best, track)
    keep_checkpoint(result.last, track)
    track.artifact(history)
    save_network(result.best, folder / "model", describe(plan, track.run_id, priors or {}))
    log_spectra_model(track, folder / "model")
    epochs = pd.read_csv(history)
    track.figure(training_curves(epochs, plan.run_name), "training_curves")
    # the best epoch's recall: the last value of val_recall is that of the last epoch
    recalls = {
        name.removeprefix("val_"): value
        for name, value in result.best_metrics.items()
        if name.startswith("val_recall")
    }
    judged = {f"best.{name}": v for name, v in result.best_metrics.items() if name in JUDGES}
    best_epoch = result.best_metrics.get("best_epoch", float("nan"))
    track.metrics({**recalls, **judged, "best_epoch": best_epoch, "epochs_run": float(len(epochs))})
    track.tags({"checkpoint.path": best, "checkpoint.sha256": file_sha256(result.best)})
    monitor = plan.config.monitor
    value = result.best_metrics.get(monitor, float("nan"))
    say(f"kept: epoch {best_epoch + 1:.0f}, {monitor} {value:.4f} ({result.best.name})")
    # a classifier of s never exceeds c: without recall at .5 it may still rank perfectly
    if recalls.get("recall") == 0 and plan.phase == "nnpu_train":
        line = "the kept epoch finds none of the labelled validation rows: this model is of no use"
        say(f"warning: {line}")
        track.tags({"warning.recall": line})


def _warn_of_degenerate(result: FitResult, objective: Objective, track: RunTrack) -> None:
    """Tag a training that was stopped, and a kept epoch that is no better."""
    if result.degenerate:  # said when it happened
        track.tags({"warning.degenerate": result.degenerate})
    best = result.best_metrics
    if best.get("pu_auc", 0.0) >= 1 or best.get("proxy_f1", 0.0) > 1:
        line = (
            f"pu_auc {best.get('pu_auc', math.nan):.4f}, proxy_f1 {best['proxy_f1']:.4f} at the "
            "kept epoch: such values cannot be, pi is too high for these scores"
        )
        say(f"warning: {line}")
        track.tags({"warning.pi_too_high": line})
    reason = objective.degenerate_in_a_polarity(result.best_metrics)
    if reason:
        say(f"warning: the kept epoch's model is degenerate: {reason}")
        track.tags({"warning.degenerate_kept": reason})
