"""One fit: trainer, callbacks, checkpoints; the same for every pipeline."""

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.plugins.environments import LightningEnvironment

from priorwise.errors import Interrupted, LoaderKilled
from priorwise.learn.recorder import Recorder
from priorwise.learn.stopping import StopRequest
from priorwise.training.callbacks import (
    SHOWN,
    EpochReport,
    LastingEarlyStopping,
    MovableCheckpoint,
    StepReport,
    StopAtStep,
)
from priorwise.training.degenerate import DegenerateStop, Judge
from priorwise.training.durable_io import LAST, PREVIOUS, DurableCheckpoints, keep_only
from priorwise.training.ranks import RANK_VARIABLES

#: monitors that are better when smaller; all others are better when larger
MINIMISED = frozenset(
    {"train_loss", "val_loss", "val_loss_seed", "nnpu_risk", "clamp_rate", "q_gap"}
)
#: PyTorch has no error of its own for a process that is gone
_GONE = re.compile(r"DataLoader worker \(pid.*?\) (is killed by \w+: [\w ]+|exited unexpectedly)")


@dataclass(frozen=True)
class FitPlan:
    """How long, on what, judged by what.

    Attributes
    ----------
    epochs, patience : int
        At most this many epochs; stop when `monitor` has not improved for `patience` of them.
    monitor : str
        Any logged metric.
    devices : int
        Processes on each node, at least 1: GPUs, or CPU processes over gloo.
    folder : pathlib.Path
        Checkpoints go to `folder`/checkpoints.
    resume_from : pathlib.Path, optional
        Checkpoint to continue.
    degenerate : callable, optional
        Says of an epoch's metrics why its model is degenerate, or None.
    degenerate_patience : int
        Stop after so many such epochs in a row; 0 = never.
    best_name : str
        Name of the best checkpoint, with metrics to be filled in.
    shown : tuple of str
        Metrics of the line that is printed after each epoch, beside the monitor.
    half_precision : bool
        On a GPU: float16 with a scaled gradient.
    clip : float, optional
        Largest norm of the gradient.
    log_every_n_steps : int
        Steps between two records of the training loss; 0 = none.
    num_nodes : int
        Machines that train together (see `ranks`).
    strategy : str
        Lightning's name of how they do; auto = alone, or ddp.
    """

    epochs: int
    patience: int
    monitor: str
    devices: int
    folder: Path
    resume_from: Path | None = None
    degenerate: Judge | None = None
    degenerate_patience: int = 0
    best_name: str = "best_model-{epoch:02d}-{val_recall:.4f}"
    shown: tuple[str, ...] = SHOWN
    half_precision: bool = True
    clip: float | None = None
    log_every_n_steps: int = 0
    num_nodes: int = 1
    strategy: str = "auto"


@dataclass(frozen=True)
class FitResult:
    """What a fit left behind.

    Attributes
    ----------
    best, last : pathlib.Path
        Checkpoints.
    best_metrics : dict
        Metrics of the epoch kept as the best, and its number `best_epoch`.
    epochs : int
        Epochs run.
    degenerate : str
        Why training was stopped as degenerate; empty if it was not.
    """

    best: Path
    last: Path
    best_metrics: dict[str, float]
    epochs: int
    degenerate: str = ""


def fit(
    module: pl.LightningModule,
    train: Iterable[Any],
    validation: Iterable[Any],
    plan: FitPlan,
    recorder: Recorder,
    stop: StopRequest,
) -> FitResult:
    """Train, keep the best and the last checkpoint, record every epoch.

    Raises
    ------
    Interrupted
        If `stop` was requested; the last checkpoint is on disk by then.
    LoaderKilled
        If a process that assembles batches was killed.
    """
    folder = plan.folder / "checkpoints"
    mode = "min" if plan.monitor in MINIMISED else "max"
    best = MovableCheckpoint(
        dirpath=folder,
        filename=plan.best_name,
        monitor=plan.monitor,
        mode=mode,
        save_top_k=1,
        enable_version_counter=False,
    )
    last = MovableCheckpoint(
        dirpath=folder,
        filename="last",
        save_top_k=1,
        every_n_epochs=1,
        enable_version_counter=False,
    )
    patience = LastingEarlyStopping(plan.monitor, mode=mode, patience=plan.patience)
    report = EpochReport(recorder, plan.epochs, plan.monitor, mode, plan.shown)
    steps = StepReport(recorder, plan.log_every_n_steps)
    watch = DegenerateStop(plan.degenerate or (lambda metrics: None), plan.degenerate_patience)
    at_step = StopAtStep(stop, folder / LAST)
    trainer = _trainer(plan, [report, steps, patience, watch, best, last, at_step])
    try:
        with stop.deferred():
            trainer.fit(module, train, validation, ckpt_path=plan.resume_from, weights_only=True)
    except Interrupted:
        raise
    except BaseException as error:
        # a signal may also surface as one of Lightning's own exceptions
        if stop.signum is not None:
            raise Interrupted(stop.signum, stop.reason) from error
        # it surfaces anywhere: PyTorch raises it while it handles the child's signal
        if gone := _GONE.match(str(error)):
            raise LoaderKilled(gone[1]) from error
        raise
    finally:
        for name in RANK_VARIABLES:
            os.environ.pop(name, None)
    kept = Path(best.best_model_path)
    if trainer.is_global_zero:
        keep_only(folder, kept, folder / LAST, folder / PREVIOUS)
    return FitResult(
        kept,
        folder / LAST,
        report.best_metrics,
        report.epochs,
        watch.reason,
    )


def _trainer(plan: FitPlan, callbacks: list[pl.Callback]) -> pl.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*checkpoint directory.*exists and is not empty.*")
    on_gpu, strategy = torch.cuda.is_available(), plan.strategy
    if strategy == "auto" and plan.devices * plan.num_nodes > 1:
        strategy = "ddp"
    if sys.stderr.isatty():
        callbacks = [*callbacks, TQDMProgressBar(refresh_rate=5)]
    return pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=plan.devices,
        num_nodes=plan.num_nodes,
        # ranks are started by us, also inside a Slurm job of one task
        plugins=[LightningEnvironment(), DurableCheckpoints()],
        strategy=strategy,
        precision="16-mixed" if on_gpu and plan.half_precision else "32-true",
        gradient_clip_val=plan.clip,
        max_epochs=plan.epochs,
        callbacks=callbacks,
        logger=False,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        deterministic=not on_gpu,
        log_every_n_steps=1,
    )
