"""One RNA training, from rows in memory to checkpoints: what `rna_pretrain` and benchmarks run."""

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from priorwise.errors import BadInput
from priorwise.learn.batches import KeyedBatches
from priorwise.learn.loader import RowLoader
from priorwise.learn.recorder import Recorder
from priorwise.learn.schedules import warmup_problem
from priorwise.learn.sparse import SparseSelection
from priorwise.learn.sparse_batches import SelectedBatches
from priorwise.learn.stopping import StopRequest
from priorwise.phases.desk import say
from priorwise.phases.rna_finish import Trained
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.batches import FeatureMaps
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.decoding import Decoder
from priorwise.rna.features import feature_maps
from priorwise.rna.judge import StructureJudge
from priorwise.rna.module import Optimisation, RnaModule
from priorwise.rna.network import architecture
from priorwise.rna.objective import RnaObjective
from priorwise.rna.rows import RnaRows
from priorwise.rna.source import RnaSource
from priorwise.training.fit import FitPlan, FitResult, fit

#: batches whose rows are sorted by length together, so that little is padded
WINDOW = 16
#: gradients of bfloat16 convolutions of other widths come out as NaN (torch 2.13 on a CPU)
BFLOAT16_CHANNELS = 16
#: sparse training sees every row again within this many times the least possible
REVISIT_SLACK = 4
#: of the line after each epoch
SHOWN = (
    *("train_loss", "val_loss", "val_mlm_loss", "val_structure_loss", "val_pair_loss"),
    *("val_pair_f1", "val_pair_precision", "val_pair_recall", "val_strict_f1", "cut_strict_f1"),
    *("val_structure_accuracy", "val_mlm_accuracy", "learning_rate", "activation_rate"),
    *("ast_longest_wait", "ast_unseen", "samples_per_second"),
)


@dataclass(frozen=True)
class RnaJob:
    """One training, fully decided.

    Attributes
    ----------
    options : RnaPretrain
    train, validation : RnaRows
        Rows of the validation partition and of the cut are in one.
    folder : pathlib.Path
        Checkpoints go to `folder`/checkpoints.
    resume_from : pathlib.Path or None
    """

    options: RnaPretrain
    train: RnaRows
    validation: RnaRows
    folder: Path
    resume_from: Path | None = None

    @cached_property
    def train_maps(self) -> FeatureMaps | None:
        """What ViennaRNA says of the training rows: given to the network, or learned by it."""
        options = self.options
        sets = options.feature_sets or options.teacher_sets
        return feature_maps(self.train.sequences(), sets)

    @cached_property
    def validation_maps(self) -> FeatureMaps | None:
        """What it says of the validation rows, if the network is given it."""
        return feature_maps(self.validation.sequences(), self.options.feature_sets)

    def with_maps_of(self, other: "RnaJob") -> Self:
        """The same training, with what another one of the same rows and parameter sets folded."""
        for name in ("train_maps", "validation_maps"):
            if name in vars(other):
                vars(self)[name] = vars(other)[name]
        return self

    def sources(self) -> tuple[RnaSource, RnaSource]:
        """The training rows and the validation rows as loaders want them."""
        seed, maps = self.options.seed, self.train_maps
        train = RnaSource(
            self.train,
            seed,
            features=maps if self.options.feature_sets else None,
            teacher=maps if self.options.teacher_sets else None,
        )
        validation = RnaSource(
            self.validation, seed, validation=True, features=self.validation_maps
        )
        return train, validation

    def objective(self) -> RnaObjective:
        """Losses and their weights."""
        names = RnaObjective.__dataclass_fields__
        return RnaObjective(**{name: getattr(self.options, name) for name in names})

    def decoder(self) -> Decoder:
        """How structures are decoded while it lasts."""
        return self.options.usual_decoder(self.options.pair_threshold)

    def folding_weight(self) -> float:
        """Share of thermodynamics in what is judged after each epoch."""
        return self.options.usual_folding_weight(self.options.two_opinions)

    def trained(self, checkpoint: Path, description: Mapping[str, Any]) -> Trained:
        """The weights that a checkpoint kept, and what the model says of itself."""
        options = self.options
        learned = options.positions == "learned"
        return Trained(
            architecture(**options.network()),
            kept_weights(checkpoint),
            options.two_opinions,
            {
                "features": list(options.feature_sets),
                "longest": options.max_len - 2 if learned else 0,
                **description,
            },
        )

    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self.order(self.selection()))

    def selection(self) -> SparseSelection | None:
        """Sparse training, if it is wanted."""
        options = self.options
        if not options.use_ast or options.ast_target_activation == 1:
            return None
        target = options.ast_target_activation
        revisit = REVISIT_SLACK * int(np.ceil(1 / target))
        try:
            return SparseSelection(len(self.train), target, seed=options.seed, revisit=revisit)
        except ValueError as error:
            raise BadInput(f"ast_target_activation: {target:g}: {error}") from error

    def order(self, selection: SparseSelection | None) -> KeyedBatches:
        """Order of the training rows."""
        size, seed, lengths = self.options.batch_size, self.options.seed, self.train.lengths
        if selection is not None:
            return SelectedBatches(selection, size, seed=seed, window=WINDOW, lengths=lengths)
        return KeyedBatches(len(self.train), size, seed=seed, window=WINDOW, lengths=lengths)


def low_precision(options: RnaPretrain) -> bool:
    """Whether the convolutional head may compute in bfloat16 on this machine's processor."""
    if not options.fp16 or torch.cuda.is_available() or options.pair_head != "conv":
        return False
    if options.pair_channels % BFLOAT16_CHANNELS:
        say(
            f"fp16=true: pair_channels={options.pair_channels} is no multiple of "
            f"{BFLOAT16_CHANNELS}, so training is in float32"
        )
        return False
    able = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not able:
        say("fp16=true: this processor has no bfloat16 instructions; training in float32")
    return bool(able)


def workers(wanted: int) -> int:
    """Loader processes: as many as wanted, at most one for each processor of this machine."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if wanted > (there or 1):
        say(f"num_workers={wanted}: this machine has {there} processor(s), so {there} are used")
    return min(wanted, there or 1)


def run_rna_job(job: RnaJob, recorder: Recorder, stop: StopRequest) -> FitResult:
    """Build the module and the loaders, and fit."""
    options, selection = job.options, job.selection()
    order = job.order(selection)
    total = len(order) * options.num_epochs
    problem = warmup_problem(options.warmup_steps, total)
    if problem:
        say(f"warning: {problem}")
    cells = np.maximum(job.train.lengths[job.train.labelled] - 3, 0)
    share = len(job.train.pairs) / max(float((cells * (cells - 1) / 2).sum()), 1.0)
    module = RnaModule(
        options.network(),
        job.objective(),
        Optimisation(
            learning_rate=options.learning_rate,
            weight_decay=options.weight_decay,
            lr_scheduler_type=options.lr_scheduler_type,
            warmup_steps=options.warmup_steps,
            total_steps=total,
            min_lr_ratio=options.min_lr_ratio,
            ema_decay=options.ema_decay,
        ),
        StructureJudge(job.validation, job.decoder()),
        n_rows=len(job.train),
        seed=options.seed,
        pair_threshold=options.pair_threshold,
        pair_share=share,
        selection=selection,
        low_precision=low_precision(options),
        whole=options.structure_input == "whole",
        teacher_loss_weight=options.teacher_loss_weight if options.teacher_sets else 0.0,
        folding_weight=job.folding_weight(),
    )
    source, judged = job.sources()
    plain = KeyedBatches(
        len(job.validation),
        options.batch_size,
        seed=options.seed,
        shuffle=False,
        window=max(2, len(job.validation)),
        lengths=job.validation.lengths,
    )
    plan = FitPlan(
        epochs=options.num_epochs,
        patience=options.patience,
        monitor=options.monitor,
        devices=1,
        folder=job.folder,
        resume_from=job.resume_from,
        best_name="best_model-{epoch:02d}-{val_strict_f1:.4f}",
        shown=SHOWN,
        half_precision=options.fp16,
        clip=options.grad_clip,
    )
    n_workers = workers(options.num_workers)
    with closing(RowLoader(source, order, n_workers)) as train:
        return fit(module, train, RowLoader(judged, plain), plan, recorder, stop)
