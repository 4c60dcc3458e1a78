"""Phase 1: one model of P(s=1 | x) per polarity, by binary cross-entropy."""

from dataclasses import asdict, dataclass
from typing import Literal

from priorwise.phases.checks import polarity_name, within
from priorwise.phases.data import training_tables
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.resolve import FEW_LABELLED
from priorwise.phases.spectra_fit import SpectraJob, train_and_log
from priorwise.phases.spectra_rows import Table
from priorwise.phases.training_options import TrainingOptions
from priorwise.spectra.objective import Objective
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack

MONITORS = ("val_recall", "val_loss", "train_loss", "q", "pu_f", "labelled_auc")


@dataclass(frozen=True)
class BcePretrain(TrainingOptions):
    """Parameters of `bce_pretrain`.

    Attributes
    ----------
    polarity : str
        positive or negative (the guide's 1 or 0).
    pos_weight : float
        Weight of labelled rows in the loss; 1 keeps scores usable for prior estimation.
    """

    polarity: Literal["positive", "negative", "1", "0"] = "positive"
    pos_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "polarity", polarity_name(self.polarity))
        within("pos_weight", self.pos_weight, 0, 1e6, open_low=True)
        self.check_monitor(MONITORS)


Config = BcePretrain


def prepare(config: BcePretrain, desk: Desk) -> Plan:
    """Read and check the tables."""
    train, held_out = training_tables(config.data, config.data_val, [config.polarity], desk)
    return Plan(
        phase="bce_pretrain",
        polarity=config.polarity,
        config=config,
        tables={"training": train, "validation": held_out},
        fingerprint=fingerprint(
            "bce_pretrain", asdict(config), [train.digest, held_out.digest], {}
        ),
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Train, and leave checkpoints, model, history and curves on the run."""
    config, tables = plan.config, plan.tables
    train = tables["training"]
    rows, labelled = train.n_rows(plan.polarity), train.n_labelled(plan.polarity)
    s = labelled / rows
    say(f"phase 1, {plan.polarity}: BCE on {rows} rows, {labelled} labelled (s {s:.4f})")
    if labelled < FEW_LABELLED:
        line = f"only {labelled} labelled training rows (fewer than {FEW_LABELLED})"
        say(f"warning: {line}: expect nothing of this model")
        track.tags({"warning.labelled": line})
    track.metrics({"s": s, "n_train": rows, "n_labelled_train": labelled})
    job = SpectraJob(
        options=config,
        polarity=plan.polarity,
        objective=Objective("bce", pos_weight=config.pos_weight),
        train=Table.of(tables["training"]),
        validation=Table.of(tables["validation"]),
        folder="",
    )
    train_and_log(job, plan, desk, track)
