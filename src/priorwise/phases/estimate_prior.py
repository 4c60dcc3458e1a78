"""Phase 2: label frequency c on Test Set 1, labelled fraction s of the training table, pi = s/c."""

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, polarity_name
from priorwise.phases.data import read_table, read_test
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.lineage import (
    checkpoint_of,
    request,
    resolve_bce,
    skipped_tag,
    snapshot,
)
from priorwise.plots.scores import score_histogram
from priorwise.pu.intervals import bootstrap_prior
from priorwise.pu.priors import check_prior, class_prior, elkan_noto_e1
from priorwise.pu.record import PriorRecord
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.rows import load_rows
from priorwise.spectra.scoring import predictions
from priorwise.store.tables import open_pinned
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.runs import RunTrack


@dataclass(frozen=True)
class EstimatePrior:
    """Parameters of `estimate_prior`.

    Attributes
    ----------
    data : str
        Folder that holds train_data, on which s is counted; `simulated` = the simulated tables.
    test_1 : str
        Folder of Test Set 1; auto = the folder test_1 in `data`.
    polarity : str
        positive or negative (the guide's 1 or 0).
    bce_run : str
        Run id of phase 1; auto = the newest fit one.
    estimator : str
        Which estimate of c enters the record.
    min_labelled : int
        Refuse fewer labelled rows of Test Set 1 than this.
    resamples : int
        Bootstrap resamples behind the intervals.
    seed : int
    config : str
        Recipe YAML; empty for none.
    out : str
        Working folder; empty = .priorwise/runs/<run id>.
    """

    data: str = "simulated"
    test_1: str = "auto"
    polarity: Literal["positive", "negative", "1", "0"] = "positive"
    bce_run: str = "auto"
    estimator: Literal["e1"] = "e1"
    min_labelled: int = 30
    resamples: int = 200
    seed: int = 1
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "polarity", polarity_name(self.polarity))
        at_least("min_labelled", self.min_labelled, 1)
        at_least("resamples", self.resamples, 20)
        at_least("seed", self.seed, 0)


Config = EstimatePrior


def prepare(config: EstimatePrior, desk: Desk) -> Plan:
    """Read the tables, find the BCE run."""
    polarity = config.polarity
    _, train = read_table(config.data, "train_data", desk)
    _, test = read_test(config.data, config.test_1, "test_1", desk)
    train.require(polarity, what="s")
    test.require_other_than(train, "c")
    check_test_1(test, polarity, config.min_labelled)
    wanted = request(config.bce_run, polarity, train, desk)
    chosen, facts = resolve_bce(wanted, snapshot(desk.track.history, config.bce_run), desk)
    return Plan(
        phase="estimate_prior",
        polarity=polarity,
        config=config,
        tables={"training": train, "test_1": test},
        fingerprint=fingerprint(
            "estimate_prior",
            asdict(config),
            [train.digest, test.digest],
            {"bce": facts.tags.get("fingerprint", "")},
        ),
        upstream={"upstream.bce": facts.run_id},
        tags=skipped_tag(chosen),
        resolved=facts,
    )


def check_test_1(test: TableFacts, polarity: str, min_labelled: int) -> None:
    """Refuse a Test Set 1 with too few labelled rows to estimate c on."""
    test.require(polarity, what="c", unlabelled=False)
    labelled = test.n_labelled(polarity)
    if labelled < min_labelled:
        raise BadInput(
            f"{test.uri}: {labelled} labelled rows of {polarity} polarity "
            f"(min_labelled={min_labelled} needed for c)"
        )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score Test Set 1, estimate, write the prior record."""
    config, train, test = plan.config, plan.tables["training"], plan.tables["test_1"]
    checkpoint = checkpoint_of(plan.resolved, desk)
    rows = load_rows(open_pinned(test.uri, test.version), plan.polarity)
    scores = predictions(load_network(checkpoint), rows)
    labelled = scores.loc[scores["label"] == 1, "probability"].to_numpy()

    c, s = elkan_noto_e1(labelled), train.label_rate(plan.polarity)
    intervals = bootstrap_prior(
        labelled,
        train.n_rows(plan.polarity),
        train.n_labelled(plan.polarity),
        resamples=config.resamples,
        rng=np.random.default_rng(config.seed),
    )
    record = PriorRecord(
        c=c,
        s=s,
        pi=class_prior(s, c),
        intervals=intervals,
        estimator=config.estimator,
        polarity=plan.polarity,
        data_digest=train.digest,
        bce_run=plan.resolved.run_id,
        bce_checkpoint=file_sha256(checkpoint),
        n_labelled=len(labelled),
        s_test=test.label_rate(plan.polarity),
    )
    track.params({"record.bce_checkpoint": record.bce_checkpoint})
    spread = {"score.min": scores["probability"].min(), "score.max": scores["probability"].max()}
    track.metrics({**record.metrics(), **spread})
    track.json(record.as_json(), "prior.json")
    track.text(scores.to_csv(index=False), "test_1_predictions.csv")
    title = f"Test Set 1 scores, {plan.polarity} mode (pi = {record.pi:.4f})"
    track.figure(score_histogram(scores, title, c), "score_histogram")
    say(
        f"phase 2, {plan.polarity}: c {c:.4f}  s {s:.4f}  pi {record.pi:.4f}  "
        f"alpha {record.alpha:.4f}  (e1 on {len(labelled)} labelled rows; its interval "
        f"pi {intervals.pi.low:.4f}-{intervals.pi.high:.4f} shows variance only)"
    )
    unfit = check_prior(s, c, record.pi)
    if unfit:
        raise BadInput(f"prior of {plan.polarity} polarity is unfit: {'; '.join(unfit)}")
