"""The Lightning side of the spectra model: risk, epoch metrics, optimizer, checkpoint form."""

from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch.nn import functional as F  # noqa: N812  (its usual name)

from priorwise.pu.risk import pu_risk
from priorwise.spectra.encoder import (
    ADAMW_EPS,
    SpectrumClassifier,
    in_bfloat16,
    parameter_groups,
)
from priorwise.spectra.objective import Objective
from priorwise.spectra.rows import SpectraBatch
from priorwise.spectra.validation import ValidationTally

THRESHOLD = 0.5
NETWORK_KEYS = ("d_model", "n_layers", "dropout", "instrument_embedding_dim")


class SpectraModule(LightningModule):
    """Trains a `SpectrumClassifier`.

    Checkpoints keep the published form: bare state-dict keys, plain numbers as hyper-parameters.

    Parameters
    ----------
    network : dict
        Arguments of `SpectrumClassifier`.
    objective : Objective
    encoder_lr, linear_lr, weight_decay : float
        AdamW, eps 1e-4, one learning rate for the encoder and one for the heads.
    bfloat16 : bool
        Train in bfloat16 (see `encoder.in_bfloat16`).
    compiled : bool
        Compile the network at its first step.
    seed : int
        Initial weights depend on it alone, and dropout of step n of epoch e on (seed, e, n), so
        that equal work gives equal weights: in any process, after any other, interrupted or not.
    """

    def __init__(
        self,
        network: dict[str, Any],
        objective: Objective,
        *,
        encoder_lr: float,
        linear_lr: float,
        weight_decay: float,
        seed: int,
        bfloat16: bool = False,
        compiled: bool = False,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = in_bfloat16(SpectrumClassifier(**network), bfloat16)
        if compiled:
            self.network.compile(dynamic=True)  # batches are of many widths
        self.objective = objective
        self.rates = (encoder_lr, linear_lr, weight_decay)
        self.seed = seed
        self._published_hparams = {
            **network,
            "hidden_fc1": 64,
            "lr": linear_lr,
            "encoder_lr": encoder_lr,
            "linear_lr": linear_lr,
            "weight_decay": weight_decay,
            "optimizer_name": "AdamW",
            "validation_threshold": THRESHOLD,
        }
        for mode, value in (objective.pi or {}).items():
            self._published_hparams[f"prior_{mode[:3]}"] = float(value)
        self._train = np.zeros(4)  # sum of losses, steps, clamped strata, PU strata
        self._validation = ValidationTally(objective)

    def forward(self, batch: SpectraBatch) -> torch.Tensor:
        """Logits of the rows, shape (batch,)."""
        logits: torch.Tensor = self.network(
            batch.mz, batch.intensity, batch.settings, batch.precursor_mz
        )
        return logits

    def transfer_batch_to_device(
        self, batch: SpectraBatch, device: torch.device, dataloader_idx: int
    ) -> SpectraBatch:
        """Move a batch."""
        return batch.to(device)

    def on_train_start(self) -> None:
        """Take the rates of today: those of a checkpoint may be others."""
        today = parameter_groups(self.network, *self.rates)
        optimizer = self.optimizers(use_pl_optimizer=False)
        for group, now in zip(optimizer.param_groups, today, strict=True):  # type: ignore[union-attr]
            group.update({name: now[name] for name in ("lr", "weight_decay")})

    def on_train_epoch_start(self) -> None:
        """Forget the sums of the epoch before; not called for an epoch taken up in its middle."""
        self._train = np.zeros(4)

    def on_train_batch_start(self, batch: SpectraBatch, batch_idx: int) -> None:
        """Key the dropout masks by (seed, epoch, step, rank)."""
        key = np.random.SeedSequence([self.seed, self.current_epoch, batch_idx, self.global_rank])
        torch.manual_seed(int(key.generate_state(1)[0]))

    def training_step(self, batch: SpectraBatch, batch_idx: int) -> torch.Tensor:
        """Risk of one batch."""
        logits = self(batch)
        objective = self.objective
        if objective.kind == "bce":
            weight = torch.tensor(objective.pos_weight, device=logits.device)
            value = F.binary_cross_entropy_with_logits(logits, batch.s, pos_weight=weight)
            clamped = strata = 0
        else:
            risk = pu_risk(
                logits,
                batch.s,
                batch.positive,
                objective.priors(),
                scenario=objective.scenario,
                censoring_form=objective.censoring_form,
                non_negative=objective.non_negative,
                loss=objective.loss,
                fallback=objective.fallback,
            )
            value, clamped, strata = risk.objective, risk.clamped, risk.strata
        self._train += (float(value.detach()), 1, clamped, strata)
        self.log("train_loss_step", value.detach(), prog_bar=True, logger=False)
        return value

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the epoch before."""
        self._validation = ValidationTally(self.objective)

    def validation_step(self, batch: SpectraBatch, batch_idx: int) -> None:
        """Add up what the epoch's metrics need."""
        self._validation.add(self(batch).float(), batch.s, batch.positive)

    def on_validation_epoch_end(self) -> None:
        """Metrics of the validation table, none of which needs a negative."""
        metrics = {**self._training_means(), **self._validation.metrics(self._over_ranks)}
        for name, value in metrics.items():
            # float64, so that equal counts give equal metrics however they were summed
            self.log(name, torch.tensor(float(value), dtype=torch.float64), rank_zero_only=False)

    def _training_means(self) -> dict[str, float]:
        """Mean training risk of the epoch, and how often the non-negative clamp acted."""
        loss, steps, clamped, strata = self._over_ranks(self._train)
        means = {"train_loss": loss / max(steps, 1)}
        if self.objective.kind == "nnpu":
            means["clamp_rate"] = clamped / max(strata, 1)
        return means

    def _over_ranks(self, sums: np.ndarray, reduce_op: str = "sum") -> np.ndarray:
        if self.trainer.world_size == 1:
            return sums
        total = self.trainer.strategy.reduce(
            torch.as_tensor(sums, device=self.device), reduce_op=reduce_op
        )
        return np.asarray(total.cpu().numpy())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW as published: eps 1e-4, no schedule."""
        groups = parameter_groups(self.network, *self.rates)
        return torch.optim.AdamW(groups, eps=ADAMW_EPS, fused=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Write the published form."""
        checkpoint["state_dict"] = self.network.state_dict()
        checkpoint["hyper_parameters"] = dict(self._published_hparams)
        checkpoint["epoch_sums"] = self._over_ranks(self._train).tolist()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Read the published form."""
        state = checkpoint["state_dict"]
        checkpoint["state_dict"] = {f"network.{key}": value for key, value in state.items()}
        self._train = np.asarray(checkpoint["epoch_sums"]) * (self.global_rank == 0)
