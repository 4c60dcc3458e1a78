"""What phase 3 makes of its priors: on record, in the loss, and in which epoch is kept."""

import shlex
from pathlib import Path
from typing import Any

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.data import SIMULATED
from priorwise.phases.desk import Plan, say
from priorwise.plots.sensitivity import prior_sensitivity
from priorwise.pu.priors import VARIANCE_ONLY
from priorwise.pu.rates import ClassPrior
from priorwise.pu.risk import prior_in_loss
from priorwise.pu.sensitivity import epochs_by_prior, prior_grid
from priorwise.tracking.runs import RunTrack

RECIPE = "configs/recommended.yaml"
RECOMMENDED = "mlflow run . -e nnpu_train"


def log_priors(plan: Plan, track: RunTrack) -> None:
    """Put the priors on the run, and say what the published risk makes of them."""
    metrics: dict[str, float] = {}
    record: dict[str, Any] = {}
    for mode, prior in plan.resolved.priors.items():
        rates = ClassPrior(prior.pi, prior.s)
        alpha, used = rates.alpha, prior_in_loss(rates, plan.config.scenario)
        values = {"c": prior.c, "s": prior.s, "pi": prior.pi, "alpha": alpha, "loss": used}
        for name, (low, high) in prior.intervals.items():
            values[f"{name}.low"], values[f"{name}.high"] = low, high
        metrics.update({f"prior.{mode}.{name}": value for name, value in values.items()})
        record[mode] = {**values, "run_id": prior.run_id, "scenario": plan.config.scenario}
        say(
            f"phase 3, {mode}: scenario {plan.config.scenario}, "
            f"pi {prior.pi:.4f}, alpha {alpha:.4f}, in the loss {used:.4f}"
        )
        if prior.estimator in VARIANCE_ONLY and plan.config.scenario != "published":
            line = (
                f"the {mode} prior is by {prior.estimator}, which puts pi too high where classes "
                f"overlap; recommended ({RECIPE}): "
                f"{recommended(plan.config, mode, prior.estimator)}"
            )
            say(f"warning: {line}")
            track.tags({f"warning.estimator.{mode}": line})
        if used <= 0:
            raise BadInput(
                f"prior of {mode} polarity: no unlabelled row is positive (pi {prior.pi:.4f} = s), "
                "so that case_control has nothing to learn (expected pi above s)"
            )
        if plan.config.scenario == "published":
            times = f"{prior.pi / alpha:.2f}x" if alpha > 0 else "where it should be 0"
            line = (
                f"the published risk puts pi = {prior.pi:.4f} ({mode}) where the unlabelled rows' "
                f"positive share alpha = {alpha:.4f} belongs ({times}): it "
                f"over-predicts; recommended ({RECIPE}): "
                f"{recommended(plan.config, mode, prior.estimator)}"
            )
            say(f"warning: {line}")
            track.tags({f"warning.over_predicts.{mode}": line})
    if len(plan.resolved.priors) == 1:
        metrics.update({name: v for name, v in values.items() if name != "loss"})
    track.metrics(metrics)
    track.json(record, "prior.json")


def recommended(config: Any, mode: str, estimator: str) -> str:
    """The commands of the recommended recipe, on the same data and for the same model."""
    given = [f"-P config={shlex.quote(config.config or RECIPE)}"]
    if config.data != SIMULATED:
        given.append(f"-P data={shlex.quote(config.data)}")
    train, prior = [RECOMMENDED, *given], []
    if config.config:
        train.append("-P scenario=censoring -P monitor=proxy_f1")
    if estimator != "median":
        median = ["mlflow run . -e estimate_prior", *given, f"-P polarity={mode}"]
        prior = [*median, "-P estimator=median", "&&"]
    return " ".join([*prior, *train])


def draw_sensitivity(plan: Plan, history: Path, track: RunTrack) -> None:
    """Per polarity: the epoch that proxy F1 would keep for every pi of the prior's interval.

    Not for a prior given as a number, which has no interval; nor under case_control, where the
    epochs are judged by alpha.
    """
    if plan.config.scenario == "case_control":
        return
    epochs = pd.read_csv(history)
    for mode, prior in plan.resolved.priors.items():
        low, high = prior.intervals.get("pi", (1.0, 1.0))
        columns = [f"val_recall.{mode}", f"q.{mode}"]
        if low >= 1 or not set(columns) <= set(epochs):
            continue
        r, q = (epochs[name].to_numpy() for name in columns)
        outcome = pd.DataFrame(vars(epochs_by_prior(r, q, prior_grid(low, high))))
        outcome["kept"] += 1  # screens and figures count from 1
        spread = outcome["proxy_f1"].max() - outcome["proxy_f1"].min()
        track.metrics({f"sensitivity.proxy_f1.{mode}": float(spread)})
        title = f"If pi were another value of its interval, {mode} mode"
        track.figure(prior_sensitivity(outcome, prior.pi, title), f"sensitivity_{mode}")
