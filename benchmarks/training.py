"""Phase 3 on plain tensors: training with a PU risk, every epoch judged with and without y."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from benchmarks import networks
from benchmarks.tasks import Table, Task
from priorwise.pu import selection
from priorwise.pu.rates import ClassPrior, PolarityPriors
from priorwise.pu.risk import Loss, Scenario, pu_risk
from priorwise.pu.risk_sums import RiskSums


@dataclass(frozen=True)
class Recipe:
    """How the training is done; the same for all lines of one comparison."""

    loss: Loss
    epochs: int
    batch: int
    rate: float
    final_rate: float | None = None
    weight_decay: float = 0.0


# Chosen on seeds above 1,000.
EVEN_ODD = Recipe("logistic", epochs=20, batch=256, rate=1e-3)
ACMI = Recipe("sigmoid", epochs=40, batch=256, rate=3e-3, final_rate=1e-5, weight_decay=1e-3)
CUT = Recipe("logistic", epochs=3, batch=64, rate=1e-3)


def train(
    network: nn.Sequential,
    task: Task,
    prior: ClassPrior,
    scenario: Scenario,
    recipe: Recipe,
    seed: int,
) -> pd.DataFrame:
    """Train in place; one line per epoch with every monitor and what the test rows say.

    Monitors (columns of `MONITORS`) are such that higher is better, and see validation rows
    without y. Columns accuracy, f1, auc are of the test rows, at threshold .5.
    """
    priors = PolarityPriors(positive=prior)  # one population: one polarity
    lines: list[dict[str, float]] = []

    def objective(logits: Tensor, s: Tensor) -> Tensor:
        one = torch.ones_like(s, dtype=torch.bool)
        return pu_risk(logits, s, one, priors, scenario=scenario, loss=recipe.loss).objective

    def judge(epoch: int) -> None:
        logits = networks.logits_of(network, task.validation.x)
        seen = without_y(logits, task.validation, prior, scenario, recipe.loss)
        lines.append({"epoch": epoch, **seen, **with_y(network, task.test)})

    networks.fit(
        network,
        task.train,
        objective,
        epochs=recipe.epochs,
        batch=recipe.batch,
        rate=recipe.rate,
        final_rate=recipe.final_rate,
        weight_decay=recipe.weight_decay,
        seed=seed,
        after_epoch=judge,
    )
    return pd.DataFrame(lines)


MONITORS = (
    "proxy_f1",
    "val_recall",
    "pu_f",
    "proxy_accuracy",
    "q_gap",
    "nnpu_risk",
    "pu_auc",
    "last epoch",
)


def without_y(
    logits: Tensor, table: Table, prior: ClassPrior, scenario: Scenario, loss: Loss
) -> dict[str, float]:
    """Every monitor on validation rows, signed such that higher is better."""
    predicted = logits.numpy() > 0
    of_target = table.s == 0 if scenario == "case_control" else np.ones(len(table), bool)
    pi = prior.alpha if scenario == "case_control" else prior.pi
    r = selection.labelled_recall(predicted, table.s)
    q = selection.predicted_positive_rate(predicted[of_target])
    s = torch.from_numpy(table.s)
    sums = RiskSums.of(logits, s, torch.ones_like(s, dtype=torch.bool), loss)
    return {
        "proxy_f1": selection.proxy_f1(r, q, pi),
        "val_recall": r,
        "pu_f": selection.pu_f(r, q),
        "proxy_accuracy": selection.proxy_accuracy(r, q, pi),
        "q_gap": -selection.q_gap(q, pi),
        "nnpu_risk": -sums.risk(PolarityPriors(positive=prior), scenario),
        "pu_auc": selection.pu_auc(float(roc_auc_score(table.s, logits.numpy())), prior.alpha),
    }


def with_y(network: nn.Sequential, test: Table) -> dict[str, float]:
    """Accuracy, F1 and area of the test rows."""
    logits = networks.logits_of(network, test.x).numpy()
    predicted, y = logits > 0, test.y == 1
    hits = float((predicted & y).sum())
    return {
        "accuracy": float((predicted == y).mean()),
        "f1": 2 * hits / float(predicted.sum() + y.sum()),
        "auc": float(roc_auc_score(y, logits)),
    }


def chosen(epochs: pd.DataFrame, monitor: str) -> pd.Series:
    """The epoch that a monitor chooses, the first of a tie."""
    column = "epoch" if monitor == "last epoch" else monitor
    return epochs.iloc[int(epochs[column].argmax())]
