"""The threshold of a model, chosen on Test Set 2 and bound to the model from then on."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, polarity_list, within
from priorwise.phases.data import read_test, require_labelled
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.judged import JudgedModel, find_judged, refuse_seen, score_test
from priorwise.phases.spectra_model import log_spectra_model
from priorwise.plots.threshold import threshold_curves
from priorwise.pu.evaluation import no_selection
from priorwise.pu.threshold import NEED_C, Outcome, Rule, ThresholdCurve, choose_threshold
from priorwise.spectra.saved_model import retold
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack

#: the training whose newest complete run gives the model, if none is named
JUDGED_PHASE = "nnpu_train"
#: most points of the curve that are written down
CURVE_POINTS = 2000


@dataclass(frozen=True)
class SelectThreshold:
    """Parameters of `select_threshold`.

    Attributes
    ----------
    model : str
        auto = that of the newest complete nnpu_train run; or a run id, or a models:/ address.
    data : str
        Folder that holds the folder test_2; `simulated` = the simulated tables.
    test_2 : str
        Folder of Test Set 2; auto = the folder test_2 in `data`.
    polarities : str
        both, positive or negative: rows the threshold is chosen on; auto = all the model knows.
    rule : str
        percentile of the labelled scans' probabilities; keep so many per cent of them; prior = keep
        a share pi of all scans; proxy_f1 = highest F1 estimated without negatives.
    percentile : float
        For the rule of that name, in per cent.
    keep : float
        For the rule of that name: per cent of the labelled scans to keep at least.
    min_labelled : int
        Refuse fewer labelled rows of Test Set 2 in any polarity than this.
    seed : int
        Accepted as in every phase; nothing here is random.
    config : str
        Recipe YAML; empty for none.
    out : str
        Accepted as in every phase; everything goes to the run.
    """

    model: str = "auto"
    data: str = "simulated"
    test_2: str = "auto"
    polarities: str = "auto"
    rule: Rule = "percentile"
    percentile: float = 5.0
    keep: float = 90.0
    min_labelled: int = 30
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if self.polarities != "auto":
            polarity_list(self.polarities)
        within("percentile", self.percentile, 0, 100)
        within("keep", self.keep, 0, 100, open_low=True)
        at_least("min_labelled", self.min_labelled, 1)
        at_least("seed", self.seed, 0)

    @property
    def rule_text(self) -> str:
        """The rule with its value, as the model will say it."""
        values = {"percentile": f" {self.percentile:g}", "keep": f" {self.keep:g}"}
        return self.rule + values.get(self.rule, "")


Config = SelectThreshold


def prepare(config: SelectThreshold, desk: Desk) -> Plan:
    """Find the model, read Test Set 2."""
    model = find_judged(config.model, JUDGED_PHASE, config.polarities, desk)
    without = [mode for mode in model.modes if mode not in model.frequencies()]
    if config.rule in NEED_C and without:
        raise BadInput(
            f"rule: {config.rule} needs the label frequency c, and model {model.facts.model_id} "
            f"was trained without a prior of {without[0]} polarity (expected rule=percentile or "
            "rule=keep, or the model of an nnpu_train run)"
        )
    _, test = read_test(config.data, config.test_2, "test_2", desk)
    for mode in model.modes:
        require_labelled(test, mode, config.min_labelled, "a threshold")
    refuse_seen(test, model, ("training", "validation"), "a threshold", desk)
    config = replace(config, polarities=model.polarity)
    return Plan(
        phase="select_threshold",
        polarity=model.polarity,
        config=config,
        tables={"test_2": test},
        fingerprint=fingerprint(
            "select_threshold", asdict(config), [test.digest], {"model": model.facts.digest}
        ),
        upstream=model.upstream,
        tags={"rule": config.rule_text, **model.inherited(desk.track.history)},
        resolved=model,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score, choose, draw; log the same weights as a model with this threshold."""
    config, test, model = plan.config, plan.tables["test_2"], plan.resolved
    scores = score_test(test, model.saved.network, model.modes)
    weight = weights(scores, plan)
    score, label = scores["probability"].to_numpy(), scores["label"].to_numpy()
    try:
        threshold = choose_threshold(
            config.rule,
            score,
            label,
            percentile=config.percentile,
            keep=config.keep,
            weight=weight,
        )
        curve = ThresholdCurve.of(score, label, weight)
    except ValueError as error:
        raise BadInput(f"{test.uri}, scored by model {model.facts.model_id}: {error}") from error
    chosen = curve.at(threshold)
    # first of all: a model logged later would inherit every metric of the run
    log_with_threshold(model, threshold, config.rule_text, track)
    track.tags({"threshold": f"{threshold:.6g}"})
    each = by_polarity(scores, weight, threshold)
    track.metrics({**known(chosen), **each})
    points = pd.DataFrame(vars(curve.thinned(CURVE_POINTS)))
    track.text(points.to_csv(index=False), "threshold_curve.csv")
    title = f"Test Set 2, {plan.polarity if len(model.modes) == 1 else 'both polarities'}"
    track.figure(
        threshold_curves(points, chosen, f"rule {config.rule_text}", title), "threshold_curve"
    )
    announce(chosen, each, plan)
    if scores["probability"].nunique() == 1:
        line = "all scans have the same score: no threshold can tell them apart"
    else:
        line = no_selection(chosen.share_kept)
    if line:
        say(f"warning: {line}")
        track.tags({"warning.degenerate_share": line})


def weights(scores: pd.DataFrame, plan: Plan) -> np.ndarray | None:
    """Positives that a labelled row of each row's polarity stands for, 1 / c; None without c."""
    found = plan.resolved.frequencies_on(plan.tables["test_2"])
    if len(found) < len(plan.resolved.modes):
        return None
    c = {mode: frequency.c for mode, frequency in found.items()}
    return 1 / scores["polarity"].map(c).to_numpy(dtype=float)


def log_with_threshold(model: JudgedModel, threshold: float, rule: str, track: RunTrack) -> None:
    """Log the weights once more, as a model that says where its threshold is."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "network"
        retold(model.facts.folder, folder, threshold=threshold, rule=rule)
        log_spectra_model(track, folder)


def by_polarity(
    scores: pd.DataFrame, weight: np.ndarray | None, threshold: float
) -> dict[str, float]:
    """What the threshold does in each polarity, as metrics."""
    found: dict[str, float] = {}
    for mode in scores["polarity"].unique():
        here = (scores["polarity"] == mode).to_numpy()
        rows = scores[here]
        own = None if weight is None else weight[here]
        outcome = known(ThresholdCurve.of(rows["probability"], rows["label"], own).at(threshold))
        found |= {f"{name}.{mode}": v for name, v in outcome.items() if name != "threshold"}
    return found


def known(outcome: Outcome) -> Mapping[str, float]:
    """The values of an outcome that could be computed."""
    return {name: value for name, value in vars(outcome).items() if np.isfinite(value)}


def announce(chosen: Outcome, each: Mapping[str, float], plan: Plan) -> None:
    """Say what was chosen, and what it does."""
    say(
        f"threshold {chosen.threshold:.4f} (rule {plan.config.rule_text}): keeps "
        f"{100 * chosen.recall:.1f} % of labelled scans and {100 * chosen.share_kept:.1f} % of all "
        f"scans (skips {100 * (1 - chosen.share_kept):.1f} %)"
    )
    if len(plan.resolved.modes) > 1:
        for mode in plan.resolved.modes:
            say(
                f"  {mode} mode: {100 * each[f'recall.{mode}']:.1f} % of labelled scans, "
                f"{100 * each[f'share_kept.{mode}']:.1f} % of all scans"
            )
