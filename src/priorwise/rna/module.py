"""The Lightning side of the RNA model: losses, epoch metrics, optimiser, sparse training."""

import copy
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch.optim.lr_scheduler import LambdaLR

from priorwise.errors import BadInput
from priorwise.learn.schedules import Kind, change_peak, scheduler
from priorwise.learn.sparse import SparseSelection
from priorwise.rna.agreement import STEM
from priorwise.rna.batches import RnaBatch
from priorwise.rna.judge import StructureJudge
from priorwise.rna.network import RnaAnswer, RnaNetwork
from priorwise.rna.objective import RnaObjective
from priorwise.rna.opinions import opinions
from priorwise.rna.pair_map import ConvPairHead
from priorwise.rna.tally import EpochTally

#: losses on the seed's scale: its weights, its focal loss, means over cells
SEED_SCALE = RnaObjective(focal_normalizer="cells")


@dataclass(frozen=True)
class Optimisation:
    """How weights are changed.

    Attributes
    ----------
    learning_rate, weight_decay : float
        AdamW's; vectors (norms, biases) do not decay.
    lr_scheduler_type : {"cosine", "linear", "constant"}
    warmup_steps, total_steps : int
    min_lr_ratio : float
    ema_decay : float
        In [0, 1): validation and the kept model use a moving average of the weights; 0 = none.
    """

    learning_rate: float
    weight_decay: float
    lr_scheduler_type: Kind
    warmup_steps: int
    total_steps: int
    min_lr_ratio: float
    ema_decay: float = 0.0


class RnaModule(LightningModule):
    """Trains an `RnaNetwork`.

    Parameters
    ----------
    network : dict
        Arguments of `RnaNetwork`.
    objective : RnaObjective
    optimisation : Optimisation
    judge : StructureJudge
        Of the rows of the validation loader.
    n_rows : int
        Of the training table.
    seed : int
        Initial weights depend on it alone, and dropout of step n of epoch e on (seed, e, n).
    pair_threshold : float
        At which cells count as called pairs in the epoch's precision and recall.
    pair_share : float
        Of the training table: where the pair logits start.
    selection : SparseSelection, optional
        Gets the losses of each step.
    low_precision : bool
        Blocks of the convolutional pair head in bfloat16.
    whole : bool
        Structures and pairs are learned from whole sequences, as they are predicted later; False:
        from masked ones, as published.
    teacher_loss_weight : float
        Of the pair probabilities of thermodynamic models, beside the three losses; 0 or more.
    folding_weight : float
        In [0, 1]: their share, where the network is in doubt, in the pair probabilities that are
        judged.
    """

    def __init__(
        self,
        network: dict[str, Any],
        objective: RnaObjective,
        optimisation: Optimisation,
        judge: StructureJudge,
        *,
        n_rows: int,
        seed: int,
        pair_threshold: float,
        pair_share: float,
        selection: SparseSelection | None = None,
        low_precision: bool = False,
        whole: bool = False,
        teacher_loss_weight: float = 0.0,
        folding_weight: float = 0.0,
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.network = RnaNetwork(**network)
        self.network.pairs.start_from(pair_share)
        if isinstance(self.network.pairs, ConvPairHead):
            self.network.pairs.low_precision = low_precision
        self.average = copy.deepcopy(self.network) if optimisation.ema_decay else None
        if self.average is not None:
            self.average.requires_grad_(False)
        self.objective, self.optimisation, self.judge = objective, optimisation, judge
        self.seed, self.selection, self.n_rows = seed, selection, n_rows
        self.whole, self.teacher_loss_weight = whole, teacher_loss_weight
        self.folding_weight = folding_weight
        self._began, self._speed = time.monotonic(), 0.0
        self._train = EpochTally(objective, pair_threshold)
        self._validation = EpochTally(objective, pair_threshold)
        self._on_seed_scale = EpochTally(SEED_SCALE, pair_threshold)

    def forward(self, batch: RnaBatch) -> RnaAnswer:
        """What the kept weights say of unmasked sequences."""
        answer: RnaAnswer = self.kept(batch.tokens, batch.present, batch.features)
        return answer

    @property
    def kept(self) -> RnaNetwork:
        """The network that is validated and kept: the average, where there is one."""
        return self.network if self.average is None else self.average

    def transfer_batch_to_device(
        self, batch: RnaBatch, device: torch.device, dataloader_idx: int
    ) -> RnaBatch:
        """Move a batch."""
        return batch.to(device)

    def on_train_start(self) -> None:
        """Take the rates of today: those of a checkpoint may be others."""
        rates, optimizer = self.lr_schedulers(), self.optimizers(use_pl_optimizer=False)
        assert isinstance(rates, LambdaLR) and isinstance(optimizer, torch.optim.Optimizer)
        change_peak(rates, optimizer, self.optimisation.learning_rate)
        for group, decay in zip(optimizer.param_groups, self._decays(), strict=True):
            group["weight_decay"] = decay

    def on_train_epoch_start(self) -> None:
        """Forget the sums of the epoch before; not called for an epoch taken up in its middle."""
        self._began = time.monotonic()
        self._train = EpochTally(self.objective, self._train.threshold)

    def on_train_batch_start(self, batch: RnaBatch, batch_idx: int) -> None:
        """Key the dropout masks by (seed, epoch, step)."""
        key = np.random.SeedSequence([self.seed, self.current_epoch, batch_idx])
        torch.manual_seed(int(key.generate_state(1)[0]))

    def training_step(self, batch: RnaBatch, batch_idx: int) -> torch.Tensor:
        """Weighted loss of one batch, with hidden bases."""
        answer = self._answer(batch)
        sums = self.objective.sums(answer, batch)
        losses = self.objective.losses(sums.over_all())
        goal = losses.total + self.teacher_loss_weight * losses.folding
        if not bool(torch.isfinite(goal)):
            raise BadInput(
                f"the loss is not finite in epoch {self.current_epoch + 1}, step {batch_idx + 1}: "
                "the training diverged (try a lower learning_rate, more warmup_steps)"
            )
        with torch.no_grad():
            self._train.add(answer, batch, sums)
            if self.selection is not None:
                of_each = self.objective.losses(sums).total
                self.selection.update(batch.row.cpu().numpy(), of_each.float().cpu().numpy())
        self.log("loss_step", losses.total.detach(), prog_bar=True, logger=False)
        self.log("lr_step", self._rate(), prog_bar=True, logger=False)
        self.log("activation_step", self._activation(), prog_bar=True, logger=False)
        return goal

    def _answer(self, batch: RnaBatch) -> RnaAnswer:
        """All three tasks on the masked sequence, or only the masked nucleotides."""
        if not self.whole:
            answer: RnaAnswer = self.network(batch.masked, batch.present, batch.features)
            return answer
        whole: RnaAnswer = self.network(batch.tokens, batch.present, batch.features)
        return whole._replace(nucleotides=self.network.nucleotide_logits(batch.masked))

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Take the step, and let the average follow at once.

        Not in `on_train_batch_end`: callbacks come before that one, and a checkpoint that they
        write after an interrupted step would hold the average of the step before.
        """
        super().optimizer_step(*arguments, **named)
        if self.average is None:
            return
        steps = self.global_step + 1  # this one is counted when it is over
        # the first steps move fast: a young average must not remember the start
        decay = min(self.optimisation.ema_decay, (steps + 1) / (steps + 10))
        with torch.no_grad():
            own = self.network.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(own[name], 1 - decay)

    def on_validation_epoch_start(self) -> None:
        """Forget the sums of the epoch before, and stop the clock.

        Rows that sparse training passed over count as seen: they are part of the epoch.
        """
        self._speed = self.n_rows / max(time.monotonic() - self._began, 1e-9)
        self._validation = EpochTally(self.objective, self._validation.threshold)
        self._on_seed_scale = EpochTally(SEED_SCALE, self._validation.threshold)
        self.judge.clear()

    def validation_step(self, batch: RnaBatch, batch_idx: int) -> None:
        """Masked bases are judged on masked sequences, structures and pairs on whole ones."""
        whole = self(batch)
        answer = whole._replace(nucleotides=self.kept.nucleotide_logits(batch.masked))
        in_cut = [self.judge.in_cut(row) for row in batch.row.tolist()]
        known = batch.without_targets(torch.tensor(in_cut, device=batch.row.device))
        self._validation.add(answer, known, self.objective.sums(answer, known))
        self._on_seed_scale.add(answer, known, SEED_SCALE.sums(answer, known))
        both = opinions(whole, batch.present, batch.features)
        pairs = both.mixed(self.folding_weight).cpu().numpy()
        stems = whole.loops.float().softmax(-1)[..., STEM].cpu().numpy()
        for k, (row, n) in enumerate(zip(batch.row.tolist(), batch.lengths.tolist(), strict=True)):
            self.judge.add(row, pairs[k, :n, :n], stems[k, :n])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the epoch."""
        metrics = {
            **self._train.metrics("train"),
            **self._validation.metrics("val"),
            "val_loss_seed": self._on_seed_scale.metrics("val")["val_loss"],
            **self.judge.metrics(),
            "learning_rate": self._rate(),
            "activation_rate": self._activation(),
            "samples_per_second": self._speed,
        }
        if self.selection is not None:
            found = self.selection.statistics()
            metrics |= {f"ast_{k}": v for k, v in found.items() if k != "activation_rate"}
        for name, value in metrics.items():
            self.log(name, torch.tensor(float(value), dtype=torch.float64))

    def _rate(self) -> float:
        return float(self.trainer.optimizers[0].param_groups[0]["lr"])

    def _activation(self) -> float:
        return 1.0 if self.selection is None else self.selection.statistics()["activation_rate"]

    def _decays(self) -> tuple[float, float]:
        """Of matrices, and of vectors."""
        return self.optimisation.weight_decay, 0.0

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW and the schedule, which takes a step with every batch."""
        chosen = self.optimisation
        named = list(self.network.named_parameters())
        kinds = ([p for _, p in named if p.ndim > 1], [p for _, p in named if p.ndim <= 1])
        groups = [
            {"params": parameters, "weight_decay": decay}
            for parameters, decay in zip(kinds, self._decays(), strict=True)
        ]
        optimizer = torch.optim.AdamW(groups, lr=chosen.learning_rate)
        rates = scheduler(
            optimizer,
            warmup=chosen.warmup_steps,
            total=chosen.total_steps,
            kind=chosen.lr_scheduler_type,
            min_ratio=chosen.min_lr_ratio,
        )
        return OptimizerLRSchedulerConfig(
            optimizer=optimizer, lr_scheduler={"scheduler": rates, "interval": "step"}
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the sums of the epoch and the losses of the rows."""
        checkpoint["epoch_sums"] = self._train.state()
        if self.selection is not None:
            checkpoint["selection"] = self.selection.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on there."""
        self._train.restore(checkpoint["epoch_sums"])
        if self.selection is not None:
            try:
                self.selection.load_state_dict(checkpoint["selection"])
            except ValueError as error:
                raise BadInput(f"resume: sparse training cannot go on: {error}") from error
