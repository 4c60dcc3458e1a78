"""Trainings over a grid of focal_alpha and pair_loss_weight, as nested runs to compare."""

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases import rna_pretrain
from priorwise.phases.arguments import parse
from priorwise.phases.checks import at_least, writable_file
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.nested_runs import NestedRuns
from priorwise.phases.rna_data import read_rna
from priorwise.phases.rna_options import RnaPretrain
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts

#: metrics of the kept epoch that the table shows
SHOWN = (
    *("best.selection_f1", "best.val_strict_f1", "best.cut_strict_f1", "best.val_ap"),
    *("best.val_pair_precision", "best.val_pair_recall", "best.val_structure_accuracy"),
    "threshold",
)


@dataclass(frozen=True)
class RnaSweep:
    """Parameters of `rna_sweep`; all others are those of the recipe's section rna_pretrain.

    The focal loss is on, whatever the recipe says.

    Attributes
    ----------
    data : str
        Folder that holds the table rna_data; `synthetic` = the synthetic one.
    focal_alpha, pair_loss_weight : str
        Values separated by commas; every pair of values is trained once.
    seed : int
        Of every training.
    config : str
        Recipe YAML; empty for none.
    out : str
        File for the table (CSV); empty for none.
    """

    data: str = "synthetic"
    focal_alpha: str = "0.5,0.75,0.9"
    pair_loss_weight: str = "0.5,1.5,3.0"
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        at_least("seed", self.seed, 0)
        self.grid()

    def grid(self) -> list[tuple[float, float]]:
        """Pairs of values, in the order given."""
        return list(
            itertools.product(
                _numbers("focal_alpha", self.focal_alpha),
                _numbers("pair_loss_weight", self.pair_loss_weight),
            )
        )


Config = RnaSweep


def _numbers(name: str, text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        raise BadInput(f"{name}: {text!r} (expected numbers separated by commas)") from None
    if len(set(values)) != len(values):
        raise BadInput(f"{name}: {text!r} names a value twice")
    return values


def prepare(config: RnaSweep, desk: Desk) -> Plan:
    """Check every training of the grid before the first one begins."""
    if config.out:
        writable_file("out", Path(config.out))
    settings = [_training(config, alpha, weight, desk) for alpha, weight in config.grid()]
    _, facts = read_rna(config.data, desk)
    return Plan(
        phase="rna_sweep",
        polarity="",
        config=config,
        tables={"training": facts},
        fingerprint=fingerprint("rna_sweep", asdict(config), [facts.digest], {}),
        resolved=settings,
    )


def _training(config: RnaSweep, alpha: float, weight: float, desk: Desk) -> RnaPretrain:
    given = [f"--data={config.data}", f"--seed={config.seed}"]
    varied = [f"--focal_alpha={alpha!r}", f"--pair_loss_weight={weight!r}"]
    varied.append("--use_focal_loss_for_pairs=true")  # without it every alpha is the same
    return parse("rna_pretrain", RnaPretrain, desk.recipe, [*given, *varied])


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Train what is not there already, and show all trainings side by side."""
    nested = NestedRuns(desk, track)
    lines = []
    for number, settings in enumerate(plan.resolved, 1):
        said = (
            f"focal_alpha={settings.focal_alpha:g} pair_loss_weight={settings.pair_loss_weight:g}"
        )
        say(f"\n=== {number}/{len(plan.resolved)}: {said}")
        planned = rna_pretrain.prepare(settings, desk)
        facts = nested.finished(planned)
        if facts is None:
            facts = nested.run(rna_pretrain, planned)
        else:
            say(f"reused: run {facts.run_id} has the same fingerprint")
        lines.append(_line(settings, facts))
    table = pd.DataFrame(lines)
    best = max(lines, key=lambda line: line["best.selection_f1"] or 0.0)
    say("")
    say(table.to_string(index=False, na_rep="", float_format=lambda v: f"{v:.4f}"))
    say(
        f"best: focal_alpha {best['focal_alpha']:g}, pair_loss_weight "
        f"{best['pair_loss_weight']:g} (run {best['run id']})"
    )
    track.text(table.to_csv(index=False), "sweep.csv")
    track.metrics({"best.selection_f1": best["best.selection_f1"] or 0.0})
    track.tags({"best.run": best["run id"]})
    if plan.config.out:
        table.to_csv(plan.config.out, index=False)


def _line(settings: RnaPretrain, facts: RunFacts) -> dict[str, Any]:
    return {
        "focal_alpha": settings.focal_alpha,
        "pair_loss_weight": settings.pair_loss_weight,
        **{name: facts.metrics.get(name) for name in SHOWN},
        "run id": facts.run_id,
    }
