"""Phase 2: label frequency c on Test Set 1, labelled fraction s of the training table, pi = s/c."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from priorwise.errors import BadInput
from priorwise.phases.checks import at_least, polarity_name
from priorwise.phases.data import read_table, read_test, require_labelled
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.diagnostics import diagnose, report_drift
from priorwise.phases.held_out import estimate, pos_weight_of, score
from priorwise.phases.lineage import (
    checkpoint_of,
    request,
    resolve_bce,
    skipped_tag,
    snapshot,
)
from priorwise.phases.resolve import FEW_LABELLED
from priorwise.pu.priors import MIXTURES, Estimator
from priorwise.pu.rates import check_prior
from priorwise.pu.record import COMPARED, PriorRecord
from priorwise.spectra.checkpoint import load_network
from priorwise.tracking.fingerprint import file_sha256, fingerprint
from priorwise.tracking.runs import RunTrack

#: a factor between the label rates of two tables that is worth a word
FAR = 2.0
#: below, the ends of a percentile interval hang on a few resamples
ENOUGH_RESAMPLES = 200


@dataclass(frozen=True)
class EstimatePrior:
    """Parameters of `estimate_prior`.

    Attributes
    ----------
    data : str
        Folder that holds train_data, on which s is counted; `simulated` = the simulated tables.
    data_val : str
        Folder of validation_data, on which calibrators are fitted; auto = in `data`.
    test_1 : str
        Folder of Test Set 1; auto = the folder test_1 in `data`.
    polarity : str
        positive or negative (the guide's 1 or 0).
    bce_run : str
        Run id of phase 1; auto = the newest fit one.
    estimator : str
        Which estimate of c enters the record; all are logged. See `priorwise.pu.priors`.
    undo_pos_weight : bool
        Take a pos_weight of the BCE run out of its scores; false = refuse such a run.
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
    data_val: str = "auto"
    test_1: str = "auto"
    polarity: Literal["positive", "negative", "1", "0"] = "positive"
    bce_run: str = "auto"
    estimator: Estimator = "e1"
    undo_pos_weight: bool = True
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
    where = config.data if config.data_val == "auto" else config.data_val
    _, validation = read_table(where, "validation_data", desk)
    _, test = read_test(config.data, config.test_1, "test_1", desk)
    train.require(polarity, what="s")
    validation.require(polarity, what="calibration")
    test.require_other_than(train, "c")
    test.require_other_than(validation, "c", "validation")
    require_labelled(test, polarity, config.min_labelled, "c")
    wanted = request(config.bce_run, polarity, train, desk)
    chosen, facts = resolve_bce(wanted, snapshot(desk.track.history, config.bce_run), desk)
    if pos_weight_of(facts) != 1 and not config.undo_pos_weight:
        raise BadInput(
            f"bce_run: {facts.run_id} was trained with pos_weight={pos_weight_of(facts):g}, so its "
            "scores are no probabilities of s (expected pos_weight=1, or undo_pos_weight=true)"
        )
    return Plan(
        phase="estimate_prior",
        polarity=polarity,
        config=config,
        tables={"training": train, "validation": validation, "test_1": test},
        fingerprint=fingerprint(
            "estimate_prior",
            asdict(config),
            [train.digest, validation.digest, test.digest],
            {"bce": facts.tags.get("fingerprint", "")},
        ),
        upstream={"upstream.bce": facts.run_id},
        tags={"estimator": config.estimator, **skipped_tag(chosen)},
        resolved=facts,
    )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Score, estimate with every estimator, write the prior record and its diagnostics."""
    checkpoint = checkpoint_of(plan.resolved, desk)
    scored = score(plan, load_network(checkpoint))
    try:
        record = estimate(plan, scored, file_sha256(checkpoint))
    except ValueError as error:
        raise BadInput(
            f"{plan.tables['test_1'].uri}, scored by BCE run {plan.resolved.run_id}: {error}"
        ) from error
    track.params(
        {
            "record.bce_checkpoint": record.bce_checkpoint,
            "record.estimator": record.estimator,
        }
    )
    probability = scored.test["probability"]
    spread = {"score.min": probability.min(), "score.max": probability.max()}
    track.metrics({**record.metrics(), **spread})
    track.json(record.as_json(), "prior.json")
    track.text(scored.test.to_csv(index=False), "test_1_predictions.csv")
    announce(record, track)
    for name, line in doubts(record, plan):
        say(f"warning: {line}")
        track.tags({f"warning.{name}": line})
    diagnose(record, scored.test, scored.validation, track)
    report_drift(record, plan, desk.track.history, track)
    unfit = check_prior(record.chosen.s, record.chosen.c, record.chosen.pi)
    if unfit:
        raise BadInput(f"prior of {plan.polarity} polarity is unfit: {'; '.join(unfit)}")


def announce(record: PriorRecord, track: RunTrack) -> None:
    """Say what was found, and where the estimators disagree."""
    prior, interval = record.chosen, record.interval
    say(
        f"phase 2, {record.polarity}: c {prior.c:.4f}  s {prior.s:.4f}  pi {prior.pi:.4f}  "
        f"alpha {prior.alpha:.4f}  ({record.estimator} on {record.n_labelled} labelled rows; pi "
        f"{interval.pi.low:.4f}-{interval.pi.high:.4f}: {record.interval_label})"
    )
    others = (*COMPARED[:1], *MIXTURES, *COMPARED[1:])
    say("  pi by estimator: " + "  ".join(f"{n} {record.estimates[n].pi:.4f}" for n in others))
    line = record.disagreement()
    if line:
        if record.estimator != "median":
            line += "; recommended: estimator=median"
        say(f"warning: {line}")
        track.tags({"warning.estimators": line})


def doubts(record: PriorRecord, plan: Plan) -> Iterator[tuple[str, str]]:
    """Name and text of what a user should know before building on this prior."""
    s, s_test = record.chosen.s, record.s_test
    if not 1 / FAR < s_test / s < FAR:
        yield (
            "label_rates",
            f"s is {s:.4f} in the training table and {s_test:.4f} in Test Set 1: c carries over "
            "only if both were labelled in the same way",
        )
    labelled = plan.tables["training"].n_labelled(record.polarity)
    if labelled < FEW_LABELLED:
        yield (
            "few_labelled",
            f"the training table has {labelled} labelled rows of {record.polarity} polarity (fewer "
            f"than {FEW_LABELLED}): s, and so pi, is uncertain",
        )
    median = record.estimates["median"]
    unfit = check_prior(median.s, median.c, median.pi)
    if unfit and record.estimator != "median":
        yield "median", f"the median of the mixture estimators is unfit: {'; '.join(unfit)}"
    if plan.config.resamples < ENOUGH_RESAMPLES:
        yield (
            "resamples",
            f"intervals rest on {plan.config.resamples} resamples (expected {ENOUGH_RESAMPLES} or "
            "more): their ends are coarse",
        )
    weight = pos_weight_of(plan.resolved)
    if weight != 1:
        yield (
            "pos_weight",
            f"the BCE run was trained with pos_weight={weight:g}; it was taken out of the scores, "
            "which e1 to e3 depend on",
        )
