"""Phase 3: the final model, by a PU risk with priors resolved from earlier runs."""

from dataclasses import asdict, dataclass
from typing import Literal

from priorwise.errors import BadInput
from priorwise.phases.candidates import RUN_ID, ChosenPrior, ChosenRun
from priorwise.phases.checks import polarity_list
from priorwise.phases.data import training_tables
from priorwise.phases.desk import Desk, Plan, say
from priorwise.phases.lineage import (
    Snapshot,
    checkpoint_of,
    request,
    resolve_bce,
    resolve_prior,
    skipped_tag,
    snapshot,
)
from priorwise.phases.prior_use import draw_sensitivity, log_priors
from priorwise.phases.run_folder import HISTORY, working_folder
from priorwise.phases.spectra_fit import SpectraJob, train_and_log
from priorwise.phases.spectra_rows import Table
from priorwise.phases.training_options import TrainingOptions
from priorwise.pu.risk import CensoringForm, Scenario
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.objective import Objective
from priorwise.tracking.fingerprint import fingerprint
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts

MONITORS = (
    "val_recall",
    "val_loss",
    "nnpu_risk",
    "train_loss",
    "q",
    "q_gap",
    "pu_f",
    "proxy_f1",
    "proxy_accuracy",
    "pu_auc",
    "clamp_rate",
)


@dataclass(frozen=True)
class NnpuTrain(TrainingOptions):
    """Parameters of `nnpu_train`.

    Attributes
    ----------
    polarities : str
        both, positive or negative.
    prior_pos, prior_neg : str
        auto = the newest fit estimate_prior run; or a run id; or a number.
    override : bool
        Insist on a number that contradicts the resolvable prior.
    scenario : str
        published = the guide's risk; censoring = what one labelled table really is;
        case_control = labelled rows from elsewhere, the unlabelled rows are the target.
    censoring_form : str
        weighted = with s of the training table; marginal = with all rows of a batch in place of
        its unlabelled ones.
    non_negative : bool
        False = without the clamp: the unbiased risk (uPU).
    loss : str
        Pointwise loss of the risk.
    fallback : str
        What a batch without labelled or unlabelled rows contributes.
    init_from : str
        Weights to start from: auto = BCE run of the polarity with more labelled rows, positive,
        negative, none, or a run id.
    """

    polarities: str = "both"
    prior_pos: str = "auto"
    prior_neg: str = "auto"
    override: bool = False
    scenario: Scenario = "published"
    censoring_form: CensoringForm = "weighted"
    non_negative: bool = True
    loss: Literal["logistic", "sigmoid"] = "logistic"
    fallback: Literal["bce", "skip"] = "bce"
    init_from: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_monitor(MONITORS)
        named = ("auto", "positive", "negative", "none")
        if self.init_from not in named and not RUN_ID.match(self.init_from):
            raise BadInput(
                f"init_from: {self.init_from!r} (expected {', '.join(named)} or a run id)"
            )
        modes = polarity_list(self.polarities)
        object.__setattr__(self, "polarities", "both" if len(modes) == 2 else modes[0])

    @property
    def modes(self) -> tuple[str, ...]:
        """Polarities trained on."""
        return polarity_list(self.polarities)

    def prior_spec(self, polarity: str) -> str:
        """What the user said of one polarity's prior."""
        return self.prior_pos if polarity == "positive" else self.prior_neg


Config = NnpuTrain


@dataclass(frozen=True)
class Resolved:
    """What the run builds on."""

    priors: dict[str, ChosenPrior]
    init: RunFacts | None


def prepare(config: NnpuTrain, desk: Desk) -> Plan:
    """Read the tables; resolve one prior per polarity and the initial weights."""
    train, held_out = training_tables(config.data, config.data_val, config.modes, desk)
    runs = snapshot(desk.track.history, config.prior_pos, config.prior_neg, config.init_from)
    priors = {
        mode: resolve_prior(
            request(config.prior_spec(mode), mode, train, desk, config.override), runs, desk
        )
        for mode in config.modes
    }
    init, chosen_init = _initial(config, train, runs, desk)
    known = {facts.run_id: facts.tags.get("fingerprint", "") for facts in runs.priors}
    upstream = {
        f"upstream.prior.{mode}": p.run_id or f"number {p.pi:g}" for mode, p in priors.items()
    }
    bce_runs = [p.bce_run_id for p in priors.values() if p.bce_run_id]
    if bce_runs:
        upstream["upstream.bce"] = ",".join(bce_runs)
    upstream["upstream.init"] = init.run_id if init else "none"
    return Plan(
        phase="nnpu_train",
        polarity=config.polarities,
        config=config,
        tables={"training": train, "validation": held_out},
        fingerprint=fingerprint(
            "nnpu_train",
            asdict(config),
            [train.digest, held_out.digest],
            {
                **{f"prior.{m}": known.get(p.run_id, f"{p.pi!r}") for m, p in priors.items()},
                "init": init.tags.get("fingerprint", "") if init else "none",
            },
        ),
        upstream=upstream,
        tags={
            "scenario": config.scenario,
            **_tags_of(priors),
            **skipped_tag(*priors.values(), *([chosen_init] if chosen_init else [])),
        },
        resolved=Resolved(priors, init),
    )


def _initial(
    config: NnpuTrain, train: TableFacts, runs: Snapshot, desk: Desk
) -> tuple[RunFacts | None, ChosenRun | None]:
    """The BCE run whose weights training starts from."""
    if config.init_from == "none":
        return None, None
    mode, spec = config.init_from, "auto"
    if RUN_ID.match(config.init_from):
        facts = desk.track.history.run(config.init_from)
        spec = config.init_from
        mode = facts.params.get("contract.polarity", "positive") if facts else config.modes[0]
    elif config.init_from == "auto":
        mode = max(config.modes, key=train.n_labelled)
    chosen, facts = resolve_bce(request(spec, mode, train, desk), runs, desk)
    return facts, chosen


def _tags_of(priors: dict[str, ChosenPrior]) -> dict[str, str]:
    tags = {}
    for mode, prior in priors.items():
        tags[f"prior.{mode}.source"] = "run" if prior.run_id else "number"
        if prior.estimator:
            tags[f"prior.{mode}.estimator"] = prior.estimator
        if prior.overridden:
            tags[f"prior.{mode}.overridden"] = "true"
    return tags


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Train, and leave checkpoints, model, history and curves on the run."""
    config, tables = plan.config, plan.tables
    if not config.non_negative:
        say("warning: non_negative=false: without the clamp the risk falls without end (overfits)")
    if config.censoring_form != "weighted" and config.scenario != "censoring":
        say(f"censoring_form={config.censoring_form} says nothing under scenario={config.scenario}")
    log_priors(plan, track)
    init = checkpoint_of(plan.resolved.init, desk) if plan.resolved.init else ""
    job = SpectraJob(
        options=config,
        polarity=plan.polarity,
        objective=Objective(
            "nnpu",
            scenario=config.scenario,
            censoring_form=config.censoring_form,
            non_negative=config.non_negative,
            loss=config.loss,
            fallback=config.fallback,
            pi={mode: prior.pi for mode, prior in plan.resolved.priors.items()},
            s={mode: prior.s for mode, prior in plan.resolved.priors.items()},
        ),
        train=Table.of(tables["training"]),
        validation=Table.of(tables["validation"]),
        folder="",
        init=str(init),
    )
    priors = {mode: prior.described() for mode, prior in plan.resolved.priors.items()}
    train_and_log(job, plan, desk, track, priors)
    draw_sensitivity(plan, working_folder(config.out, track.run_id) / HISTORY, track)
