"""Stops a training whose model has become degenerate, and says so."""

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from priorwise.pu.selection import LEAST_SPREAD

#: metrics of an epoch -> why its model is degenerate, or None
Judge = Callable[[Mapping[str, float]], str | None]


class DegenerateStop(Callback):
    """Stops after `patience` degenerate epochs in a row; the run ends as after early stopping.

    Not counted is an epoch that calls few rows positive while its validation loss is the lowest so
    far: a training that starts from a classifier of s, whose scores stay below c, begins like that
    and is on its way.

    Parameters
    ----------
    judge : callable
        Says why an epoch's metrics are those of a degenerate model.
    patience : int
        0 = never stop.

    Attributes
    ----------
    reason : str
        Why training was stopped; empty if it was not.
    """

    def __init__(self, judge: Judge, patience: int) -> None:
        self._judge = judge
        self._patience = patience
        self._in_a_row = 0
        self._lowest_loss = math.inf
        self.reason = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Do not go on with a training that was interrupted after the last of its epochs."""
        if self.reason:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Judge the epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        reason = self._judge(metrics)
        if not (reason and self._on_its_way(metrics)):
            self._in_a_row = self._in_a_row + 1 if reason else 0
        self._lowest_loss = min(self._lowest_loss, metrics.get("val_loss", math.inf))
        stop = 0 < self._patience <= self._in_a_row
        # metrics are the same on all ranks; one that stopped alone would leave the others waiting
        if not trainer.strategy.reduce_boolean_decision(stop, all=False):
            return
        trainer.should_stop = True
        self.reason = (
            f"{reason or 'so says another process'} ({self._in_a_row} epochs in a row, "
            f"the last one epoch {trainer.current_epoch + 1})"
        )
        if trainer.is_global_zero:
            sys.stderr.write(
                f"warning: training stops, the model is degenerate: {self.reason}; "
                "degenerate_patience=0 would train on\n"
            )
            sys.stderr.flush()

    def _on_its_way(self, metrics: Mapping[str, float]) -> bool:
        falls = metrics.get("val_loss", math.inf) < self._lowest_loss
        ranks = metrics.get("score_spread", math.inf) >= LEAST_SPREAD
        return falls and ranks and metrics.get("q", 1.0) < 0.5

    def state_dict(self) -> dict[str, Any]:
        """The count so far, for a resumed fit."""
        return {
            "in_a_row": self._in_a_row,
            "lowest_loss": self._lowest_loss,
            "reason": self.reason,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the count so far."""
        self._in_a_row = int(state_dict["in_a_row"])
        self._lowest_loss = float(state_dict["lowest_loss"])
        self.reason = str(state_dict["reason"])
