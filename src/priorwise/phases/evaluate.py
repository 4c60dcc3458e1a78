"""What a model does at its threshold, on Test Set 3: recall, share kept, estimated precision."""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, polarity_list, within
from priorwise.phases.data import read_test
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.evaluation_report import announce, doubts, figures
from priorwise.phases.evaluation_tables import (
    groups_of,
    labelled_by_dataset,
    lines_of,
    summed_up,
)
from priorwise.phases.judged import find_judged, refuse_seen, score_test
from priorwise.pu.dataset_recall import recall_by_dataset
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack

#: uses of a table after which it cannot judge the model any more
SEEN = ("training", "validation", "test_1", "test_2")


@dataclass(frozen=True)
class Evaluate:
    """Parameters of `evaluate`.

    Attributes
    ----------
    model : str
        auto = that of the newest complete select_threshold run; or a run id, or a models:/ address.
    data : str
        Folder that holds the folder test_3; `simulated` = the simulated tables.
    test_3 : str
        Folder of Test Set 3; auto = the folder test_3 in `data`.
    polarities : str
        both, positive or negative; auto = all the model knows.
    threshold : str
        auto = the one stored with the model; or a number in [0, 1].
    resamples : int
        Bootstrap resamples of data sets behind an interval of recall.
    seed : int
    config : str
        Recipe YAML; empty for none.
    out : str
        Accepted as in every phase; everything goes to the run.
    """

    model: str = "auto"
    data: str = "simulated"
    test_3: str = "auto"
    polarities: str = "auto"
    threshold: str = "auto"
    resamples: int = 1000
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        if self.polarities != "auto":
            polarity_list(self.polarities)
        if self.threshold != "auto":
            try:
                value = float(self.threshold)
            except ValueError as error:
                raise BadInput(
                    f"threshold: {self.threshold!r} (expected auto or a number in [0, 1])"
                ) from error
            within("threshold", value, 0, 1)
        at_least("resamples", self.resamples, 20)
        at_least("seed", self.seed, 0)


Config = Evaluate


def prepare(config: Evaluate, desk: Desk) -> Plan:
    """Find the model, read Test Set 3."""
    model = find_judged(config.model, "select_threshold", config.polarities, desk)
    _, test = read_test(config.data, config.test_3, "test_3", desk)
    for mode in model.modes:
        test.require(mode, what="recall")
    refuse_seen(test, model, SEEN, "an evaluation", desk)
    stored = config.threshold == "auto"
    config = replace(
        config,
        polarities=model.polarity,
        threshold=repr(model.saved.threshold if stored else float(config.threshold)),
    )
    return Plan(
        phase="evaluate",
        polarity=model.polarity,
        config=config,
        tables={"test_3": test},
        fingerprint=fingerprint(
            "evaluate", asdict(config), [test.digest], {"model": model.facts.digest}
        ),
        upstream=model.upstream,
        tags={
            "threshold": f"{float(config.threshold):.6g}",
            "threshold.source": "stored" if stored else "given",
            "rule": model.saved.rule if stored else "given",
            **model.inherited(desk.track.history),
        },
        resolved=model,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score, count, draw; bind the numbers to the model and to the digest of Test Set 3."""
    model, test, threshold = plan.resolved, plan.tables["test_3"], float(plan.config.threshold)
    scores = score_test(test, model.saved.network, model.modes)
    c = model.frequencies_on(test)
    try:
        groups = groups_of(scores, threshold)
    except ValueError as error:
        raise BadInput(f"{test.uri}, scored by model {model.facts.model_id}: {error}") from error
    metrics, summary = summed_up(scores, groups, c)
    metrics["threshold"] = threshold
    clustered = recall_by_dataset(
        *labelled_by_dataset(groups),
        resamples=plan.config.resamples,
        rng=np.random.default_rng(plan.config.seed),
    )
    if clustered:
        metrics |= {"recall.dataset.low": clustered.low, "recall.dataset.high": clustered.high}
    known = {name: value for name, value in metrics.items() if math.isfinite(value)}
    if threshold == model.saved.threshold and model.modes == model.saved.modes:
        track.model_metrics(model.facts.model_id, known, "test_data", test.digest)
    else:  # not what the model does in use: nothing may take it for that
        track.metrics(known)
        say(
            "at another threshold, or in one polarity only: these numbers stay with this run, they "
            "are not metrics of the model"
        )
    lines = pd.DataFrame(lines_of(groups, c))
    track.text(lines.to_csv(index=False), "evaluation.csv")
    track.text(summary.to_csv(index=False), "evaluation_summary.csv")
    for name, figure in figures(scores, lines, metrics, c):
        track.figure(figure, name)
    announce(summary, metrics, plan)
    for name, line in doubts(groups, metrics, c, model.modes):
        say(f"warning: {line}")
        track.tags({f"warning.{name}": line})
