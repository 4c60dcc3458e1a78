"""What happens around the steps of a fit: a line and a record per epoch, a clean way to stop."""

import math
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from priorwise.durable import damage
from priorwise.errors import BadInput, Interrupted
from priorwise.learn.recorder import Recorder
from priorwise.learn.stopping import StopRequest

#: ending of metrics that a progress bar shows during an epoch; they are of no epoch
OF_A_STEP = "_step"
SHOWN = ("train_loss", "val_loss", "val_recall", "q", "proxy_f1", "clamp_rate")
#: seconds between progress lines where no bar can be drawn
HEARTBEAT = 15.0


class EpochReport(Callback):
    """Records each epoch, says one line about it, and remembers the metrics of the best one.

    Parameters
    ----------
    recorder : Recorder
    epochs : int
        How many there will be at most.
    monitor : str
    mode : {"min", "max"}
    shown : sequence of str
        Metrics of the line.
    """

    def __init__(
        self,
        recorder: Recorder,
        epochs: int,
        monitor: str,
        mode: str,
        shown: Sequence[str] = SHOWN,
    ) -> None:
        self._shown = tuple(shown)
        self._recorder = recorder
        self._n_epochs = epochs
        self._monitor = monitor
        self._sign = -1.0 if mode == "min" else 1.0
        self._began = time.monotonic()
        self._said = self._began
        self.best_metrics: dict[str, float] = {}
        self.epochs = 0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._began = self._said = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Show progress inside long epochs."""
        now = time.monotonic()
        if now - self._said > HEARTBEAT and trainer.is_global_zero and not sys.stderr.isatty():
            self._said = now
            done, of = batch_idx + 1, trainer.num_training_batches
            self._say(f"  epoch {trainer.current_epoch + 1}/{self._n_epochs}: step {done}/{of}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch."""
        metrics = {
            name: float(value)
            for name, value in trainer.callback_metrics.items()
            if not name.endswith(OF_A_STEP)
        }
        if trainer.sanity_checking or not metrics:
            return
        self.epochs = trainer.current_epoch + 1
        self._remember(metrics)
        if trainer.is_global_zero:
            seconds = time.monotonic() - self._began
            names = dict.fromkeys((*self._shown, self._monitor))
            shown = "  ".join(f"{k} {metrics[k]:.4f}" for k in names if k in metrics)
            self._say(f"  epoch {self.epochs}/{self._n_epochs}  {shown}  ({seconds:.1f} s)")
            self._recorder.epoch(metrics, trainer.current_epoch)

    def _remember(self, metrics: dict[str, float]) -> None:
        value = metrics.get(self._monitor, math.nan)
        best = self.best_metrics.get(self._monitor, math.nan)
        if not math.isfinite(best) or self._sign * value > self._sign * best:
            self.best_metrics = {**metrics, "best_epoch": float(self.epochs - 1)}

    def state_dict(self) -> dict[str, Any]:
        """The best so far, for a resumed fit."""
        return {"best_metrics": dict(self.best_metrics)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the best so far."""
        self.best_metrics = dict(state_dict["best_metrics"])

    @staticmethod
    def _say(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class StepReport(Callback):
    """Records the training loss of every n-th step; never waits for a server.

    Parameters
    ----------
    recorder : Recorder
    every : int
        Steps between two records; 0 = none.
    """

    def __init__(self, recorder: Recorder, every: int) -> None:
        self._recorder, self._every = recorder, every

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the step that was taken."""
        step = trainer.global_step
        if self._every and step % self._every == 0 and trainer.is_global_zero:
            loss = float(outputs["loss"].detach())
            self._recorder.step({f"train_loss{OF_A_STEP}": loss}, step)


class LastingEarlyStopping(EarlyStopping):
    """An `EarlyStopping` that remembers that it stopped.

    Lightning would train one more epoch where a fit is resumed that was interrupted right after
    its last one.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if it was decided before."""
        if self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED:
            trainer.should_stop = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the count so far; the patience is that of today."""
        super().load_state_dict({**state_dict, "patience": self.patience})


class MovableCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` that remembers the best so far even if its folder was moved.

    Lightning forgets it then: a resumed fit would call a later, worse epoch the best.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state, with files of the same names in the folder of today.

        Raises
        ------
        BadInput
            If the best checkpoint so far is damaged: it could not be kept at the end.
        """

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths}
        kept = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {**state_dict, **moved, "best_k_models": kept, "dirpath": self.dirpath}
        )
        found = damage(Path(self.best_model_path)) if kept and self.monitor else None
        if found:
            raise BadInput(
                f"resume: {self.best_model_path}: the best checkpoint so far is damaged ({found})"
            )


class StopAtStep(Callback):
    """Acts on a stop request after the step at hand: writes `last`, then raises.

    Lightning takes over SIGTERM when a fit starts; this callback takes it back.

    Parameters
    ----------
    stop : StopRequest
    last : pathlib.Path
        Where the checkpoint goes.
    """

    def __init__(self, stop: StopRequest, last: Path) -> None:
        self._stop = stop
        self._last = last
        self._epoch_is_trained = False
        self._to_be_validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore our own handler."""
        if self._stop.installed:
            signal.signal(signal.SIGTERM, self._stop.handle)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Stop here if asked to; all ranks agree on the step."""
        self._epoch_is_trained = trainer.is_last_batch
        self._stop_if_asked(trainer, pl_module)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Stop here if asked to; a resumed fit validates this epoch from the beginning."""
        self._stop_if_asked(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Have an epoch that is trained but not validated go on with its validation.

        Lightning would take it for finished, and its metrics would never be seen.
        """
        if not self._to_be_validated:
            return
        loops = checkpoint["loops"]["fit_loop"]
        for count in ("total", "current"):
            trained = loops["epoch_loop.batch_progress"][count]
            trained["completed"] = trained["processed"]
            validated = loops["epoch_loop.val_loop.batch_progress"][count]
            validated.update(ready=1, started=1, processed=0, completed=0)

    def _stop_if_asked(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if self._asked(trainer, module):
            self._to_be_validated = self._epoch_is_trained
            trainer.save_checkpoint(self._last)
            raise Interrupted(self._stop.signum or signal.SIGTERM, self._stop.reason)

    def _asked(self, trainer: pl.Trainer, module: pl.LightningModule) -> bool:
        asked = self._stop.signum is not None
        if trainer.world_size == 1:
            return asked
        flag = torch.tensor(float(asked), device=module.device)
        return bool(trainer.strategy.reduce(flag, reduce_op="sum") > 0)
