"""The parameters of `rna_pretrain`, under the seed's own names; its values are the defaults."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, within
from priorwise.phases.rna_reading import ReadingOptions
from priorwise.rna.baselines import Parameters
from priorwise.rna.schema import CUT

MONITORS = (
    *("selection_f1", "val_strict_f1", "cut_strict_f1", "val_ap", "val_pair_f1", "val_loss"),
    *("val_loss_seed", "val_structure_accuracy", "val_mlm_accuracy"),
)


@dataclass(frozen=True)
class RnaPretrain(ReadingOptions):
    """Parameters of `rna_pretrain`.

    Attributes
    ----------
    data : str
        Folder that holds the table rna_data, as rna_prepare makes it; `synthetic` = the synthetic
        one.
    train_partition : str
        Partition to train on.
    max_samples : int
        Train on the first so many sequences only; 0 = all.
    model_size : {"tiny", "small", "base", "large"}
        Encoder: 64, 256, 512 or 768 wide, with 2, 4, 8 or 12 layers.
    pair_head : {"conv", "bilinear"}
        conv: convolutions over the map of all pairs; bilinear: scalar products, as published.
    positions : {"rotary", "learned"}
        learned: as published, for sequences of at most max_len - 2 bases.
    max_len : int
        Tokens of the longest sequence, CLS and SEP included; longer ones are left out, and counted.
    dropout : float
        Probability in [0, 1).
    pair_channels : int
        Width of the convolutional pair head.
    pair_dilations : str
        Dilations of its blocks, separated by commas.
    features : str
        none, or parameter sets of ViennaRNA, separated by commas, whose pair probabilities the conv
        head gets beside the sequence: turner2004, andronescu2007, langdon2018; bpp = all three.
    teacher : str
        none, or parameter sets of ViennaRNA as for `features` (bpp = all three): a second output of
        the conv head learns their mean pair probabilities. Whoever uses the model needs no
        ViennaRNA.
    teacher_loss_weight : float
        Weight of that beside the three losses.
    structure_input : {"whole", "masked"}
        What pairs and loop types are learned from; masked: 15 % of the bases hidden, as published.
    num_epochs : int
        At most this many passes.
    patience : int
        Epochs without improvement of `monitor` before training stops.
    monitor : str
        Metric that picks the best checkpoint and stops early.
    batch_size : int
        Sequences per step.
    learning_rate, weight_decay : float
        AdamW's.
    lr_scheduler_type : {"cosine", "linear", "constant"}
        How the rate falls after the warmup.
    warmup_steps : int
        Steps in which the rate rises to its peak.
    min_lr_ratio : float
        Floor of the rate, as a fraction of the peak.
    grad_clip : float
        Largest norm of the gradient.
    ema_decay : float
        Decay of a moving average of the weights, which is validated and kept; 0 = none.
    mlm_loss_weight, structure_loss_weight, pair_loss_weight : float
        Weights of the three losses.
    use_focal_loss_for_pairs : bool
        False: binary cross-entropy.
    focal_alpha, focal_gamma : float
        Of the focal loss.
    focal_normalizer : {"positives", "cells"}
        The pair loss is a sum divided by the number of pairs, or of cells (published).
    use_ast : bool
        Adaptive sparse training: each epoch trains on a part of the sequences, chosen beforehand by
        their losses.
    ast_target_activation : float
        That part.
    fp16 : bool
        Half precision where it pays: float16 on a GPU; on a CPU bfloat16 convolutions, if the
        processor has the instructions.
    num_workers : int
        Loader processes; never more than the machine has processors.
    pair_threshold : float
        Probability from which a cell counts as a called pair in the epoch's precision and recall.
    log_system_metrics : bool
        Record processor and memory use with the run.
    resume : str
        Run id of an interrupted training to continue.
    allow_change : bool
        Continue it although parameters in CHANGEABLE, data or source have changed since.
    seed : int
    config : str
        Recipe YAML; empty for none.
    out : str
        Each run works in a folder of its own in here; empty = .priorwise/runs.
    """

    #: what another value can be given in the middle of a training; the others decide what it is
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset(
        {"num_epochs", "patience", "batch_size", "dropout", "learning_rate", "weight_decay"}
        | {"lr_scheduler_type", "warmup_steps", "min_lr_ratio", "grad_clip", "fp16", "seed"}
        | {"mlm_loss_weight", "structure_loss_weight", "pair_loss_weight", "teacher_loss_weight"}
        | {"threshold", "decoding", "canonical_only", "noncanonical_penalty", "stem_weight"}
    )

    data: str = "synthetic"
    train_partition: str = "TR0"
    max_samples: int = 0
    model_size: Literal["tiny", "small", "base", "large"] = "small"
    pair_head: Literal["conv", "bilinear"] = "conv"
    positions: Literal["rotary", "learned"] = "rotary"
    max_len: int = 512
    dropout: float = 0.1
    pair_channels: int = 32
    pair_dilations: str = "1,2,4,8,1,2,4,8"
    features: str = "none"
    teacher: str = "none"
    teacher_loss_weight: float = 0.3
    structure_input: Literal["whole", "masked"] = "whole"
    num_epochs: int = 10
    patience: int = 10
    monitor: str = "selection_f1"
    batch_size: int = 16
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = 500
    min_lr_ratio: float = 0.1
    grad_clip: float = 1.0
    ema_decay: float = 0.0
    mlm_loss_weight: float = 1.0
    structure_loss_weight: float = 0.8
    pair_loss_weight: float = 1.5
    use_focal_loss_for_pairs: bool = True
    focal_alpha: float = 0.75
    focal_gamma: float = 2.0
    focal_normalizer: Literal["positives", "cells"] = "positives"
    use_ast: bool = False
    ast_target_activation: float = 0.4
    fp16: bool = False
    num_workers: int = 0
    pair_threshold: float = 0.35
    log_system_metrics: bool = False
    resume: str = ""
    allow_change: bool = False
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_epochs", "patience", "batch_size", "pair_channels"):
            at_least(name, getattr(self, name), 1)
        for name in ("max_samples", "warmup_steps", "num_workers", "seed"):
            at_least(name, getattr(self, name), 0)
        at_least("max_len", self.max_len, 3)
        for name in ("dropout", "ema_decay"):
            within(name, getattr(self, name), 0, 0.9999)
        within("learning_rate", self.learning_rate, 0, 1, open_low=True)
        within("ast_target_activation", self.ast_target_activation, 0, 1, open_low=True)
        for name in ("weight_decay", "min_lr_ratio", "focal_alpha", "pair_threshold"):
            within(name, getattr(self, name), 0, 1)
        within("grad_clip", self.grad_clip, 0, 1e6, open_low=True)
        within("focal_gamma", self.focal_gamma, 0, 100)
        weights = ("mlm_loss_weight", "structure_loss_weight", "pair_loss_weight")
        for name in weights:
            within(name, getattr(self, name), 0, 1e6)
        if not any(getattr(self, name) for name in weights):
            raise BadInput(f"{', '.join(weights)}: all are 0 (expected one to train for)")
        if len({self.train_partition, self.val_partition, CUT}) < 3:
            raise BadInput(
                f"train_partition, val_partition: {self.train_partition}, {self.val_partition} "
                f"(expected two different ones, and not {CUT}, which is validated with anyway)"
            )
        if self.monitor not in MONITORS:
            raise BadInput(f"monitor: {self.monitor} (expected one of {', '.join(MONITORS)})")
        within("teacher_loss_weight", self.teacher_loss_weight, 0, 1e6)
        for name, sets in (("features", self.feature_sets), ("teacher", self.teacher_sets)):
            if sets and self.pair_head != "conv":
                raise BadInput(f"{name}: only pair_head=conv has maps of pairs")
        if self.feature_sets and self.teacher_sets:
            raise BadInput("teacher: a network with features need not learn them (expected none)")
        self.dilations  # noqa: B018  (says what is wrong with them)

    @property
    def dilations(self) -> tuple[int, ...]:
        """Dilations of the blocks of the conv head."""
        parts = self.pair_dilations.split(",")
        if not all(p.strip().isdecimal() and 1 <= int(p) <= 128 for p in parts):
            raise BadInput(
                f"pair_dilations: {self.pair_dilations!r} (expected integers of 1 to 128, "
                "separated by commas)"
            )
        return tuple(int(p) for p in parts)

    @property
    def feature_sets(self) -> tuple[str, ...]:
        """Parameter sets of ViennaRNA that the network sees."""
        return _parameter_sets("features", self.features)

    @property
    def teacher_sets(self) -> tuple[str, ...]:
        """Parameter sets of ViennaRNA that the network learns."""
        return _parameter_sets("teacher", self.teacher)

    @property
    def two_opinions(self) -> bool:
        """Whether thermodynamics has a say in its answers (see `rna.opinions`)."""
        return bool(self.feature_sets or self.teacher_sets)

    def network(self) -> dict[str, object]:
        """Arguments of `RnaNetwork`."""
        return {
            "model_size": self.model_size,
            "pair_head": self.pair_head,
            "positions": self.positions,
            "max_len": self.max_len,
            "dropout": self.dropout,
            "pair_channels": self.pair_channels,
            "pair_dilations": self.dilations,
            "n_features": len(self.feature_sets),
            "folds": bool(self.teacher_sets),
        }


def _parameter_sets(parameter: str, value: str) -> tuple[str, ...]:
    if value == "none":
        return ()
    known = get_args(Parameters)
    names = known if value == "bpp" else tuple(value.split(","))
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) != len(names):
        raise BadInput(
            f"{parameter}: {value!r} (expected none, bpp, or some of {', '.join(known)}, each once)"
        )
    return names
