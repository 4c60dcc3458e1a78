"""The whole spectra workflow in one process: pretraining, priors, nnPU under each scenario.

The published scenario is trained with the recipe as it is; every other one with the recommended
recipe laid over it, so that the two ways stand side by side. What they share is done once.
"""

import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.arguments import parse
from priorwise.phases.bce_pretrain import BcePretrain
from priorwise.phases.checks import at_least, polarity_list, writable_file
from priorwise.phases.data import data_folder, read_test, training_tables
from priorwise.phases.desk import Desk, Plan, Recipe, begin, say
from priorwise.phases.estimate_prior import EstimatePrior, check_test_1
from priorwise.phases.nnpu_train import NnpuTrain
from priorwise.phases.results import PhaseResult, results_table
from priorwise.phases.truth import add_truth
from priorwise.pu.risk import Scenario
from priorwise.spectra.facts import TableFacts
from priorwise.tracking.fingerprint import PROJECT_ROOT, fingerprint
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts


@dataclass(frozen=True)
class Main:
    """Parameters of `main`; those of the phases come from the recipe.

    Attributes
    ----------
    data : str
        Folder that holds train_data and validation_data; `simulated` = the simulated tables.
    polarities : str
        both, positive or negative.
    scenarios : str
        Comma-separated: published, censoring, case_control. One nnPU training each.
    recommended : str
        Recipe laid over `config` for every scenario but published: what it sets wins. A path, from
        here or from the project's folder; none = the same recipe for all scenarios.
    test_1, test_2, test_3 : str
        Folders of the test sets; auto = test_1 ... in `data`.
    seed : int, optional
        Seed of every phase; not given = the recipe's.
    config : str
        Recipe YAML; empty for none (the guide's values).
    out : str
        File for the table of results (CSV); empty for none.
    """

    data: str = "simulated"
    polarities: str = "both"
    scenarios: str = "published,censoring"
    recommended: str = "configs/recommended.yaml"
    test_1: str = "auto"
    test_2: str = "auto"
    test_3: str = "auto"
    seed: int | None = None
    config: str = ""
    out: str = ""

    def __post_init__(self) -> None:
        polarity_list(self.polarities)
        if self.seed is not None:
            at_least("seed", self.seed, 0)
        known = get_args(Scenario)
        for name in self.scenario_list:
            if name not in known:
                raise BadInput(f"scenarios: {name!r} (expected some of {', '.join(known)})")

    @property
    def scenario_list(self) -> tuple[str, ...]:
        """Scenarios named."""
        return tuple(dict.fromkeys(part.strip() for part in self.scenarios.split(",")))

    def recipe_of(self, scenario: str, recipe: Recipe) -> Recipe:
        """The recipe of one scenario, given that of the command line."""
        if scenario == "published" or self.recommended == "none":
            return recipe
        path = Path(self.recommended)
        if not path.is_absolute() and not path.exists():
            path = PROJECT_ROOT / path
        try:
            return recipe.under(Recipe(str(path)))
        except BadInput as error:
            raise BadInput(f"recommended: {error}") from error


Config = Main
PHASES = {"bce_pretrain": BcePretrain, "estimate_prior": EstimatePrior, "nnpu_train": NnpuTrain}


@dataclass(frozen=True)
class Resolved:
    """What is read once, before any work: a file that changes meanwhile changes nothing.

    Attributes
    ----------
    folder : str
        Where the tables lie.
    recipes : dict of scenario -> Recipe
    settings : dict of scenario -> dict of phase -> configuration
        What each phase makes of the scenario's recipe.
    """

    folder: str
    recipes: dict[str, Recipe]
    settings: dict[str, dict[str, Any]]


def prepare(config: Main, desk: Desk) -> Plan:
    """Find the data once, for all phases."""
    if config.out:
        writable_file("out", Path(config.out))
    recipes = {name: config.recipe_of(name, desk.recipe) for name in config.scenario_list}
    settings: dict[str, dict[str, Any]] = {
        scenario: {name: parse(name, kind, recipe, []) for name, kind in PHASES.items()}
        for scenario, recipe in recipes.items()
    }
    folder = data_folder(config.data, desk)
    modes = polarity_list(config.polarities)
    train, held_out = training_tables(folder, "auto", modes, desk)
    for mode in modes:
        held_out.require(mode, what="calibration")
    _, test_1 = read_test(folder, config.test_1, "test_1", desk)
    # found now, not after the first training
    for scenario, phases in settings.items():
        for mode in modes:
            check_test_1(test_1, mode, phases["estimate_prior"].min_labelled)
        announce(scenario, recipes[scenario], phases)
    return Plan(
        phase="main",
        polarity=config.polarities,
        config=config,
        tables={"training": train},
        fingerprint=fingerprint("main", asdict(config), [train.digest], {}),
        resolved=Resolved(folder, recipes, settings),
    )


def announce(scenario: str, recipe: Recipe, phases: dict[str, Any]) -> None:
    """Say which recipe a scenario gets, and if that of the published one is not the guide's."""
    estimator, monitor = phases["estimate_prior"].estimator, phases["nnpu_train"].monitor
    say(
        f"scenario {scenario}: recipe {recipe.path or 'of the guide'}; estimator {estimator}, "
        f"monitor {monitor}"
    )
    if scenario == "published" and (estimator, monitor) != ("e1", "val_recall"):
        say(
            f"warning: the published scenario is trained with estimator {estimator} and monitor "
            f"{monitor}, as the recipe says; the guide's are e1 and val_recall"
        )


def run(plan: Plan, desk: Desk, track: RunTrack) -> None:
    """Run what is not already there, then show everything side by side."""
    config, folder = plan.config, plan.resolved.folder
    modes = polarity_list(config.polarities)
    workflow = Workflow(config, plan.resolved, desk, track)
    test_1 = [] if config.test_1 == "auto" else [f"--test_1={config.test_1}"]

    for scenario in config.scenario_list:
        bce = {
            mode: workflow.phase(scenario, "bce_pretrain", f"--polarity={mode}") for mode in modes
        }
        priors = {
            mode: workflow.phase(
                scenario,
                "estimate_prior",
                f"--polarity={mode}",
                f"--bce_run={bce[mode].run_id}",
                *test_1,
            )
            for mode in modes
        }
        workflow.phase(
            scenario,
            "nnpu_train",
            f"--polarities={config.polarities}",
            f"--scenario={scenario}",
            *[f"--prior_{mode[:3]}={priors[mode].run_id}" for mode in modes],
            *workflow.init_from(scenario, bce, plan.tables["training"]),
        )

    truth = add_truth(workflow.results, folder, config.test_3, desk)
    if truth:
        track.metrics(truth)
    table = results_table(workflow.results)
    say("")
    say(table.to_string(index=False, na_rep="", float_format=lambda v: f"{v:.4f}"))
    track.text(table.to_csv(index=False), "results.csv")
    if config.out:
        table.to_csv(config.out, index=False)
    say(f"\nside by side in the UI: {track.share_view()}")
    trained = sum(not result.reused for result in workflow.results)
    reused = len(workflow.results) - trained
    say(f"\n{trained} phases run now, {reused} reused by fingerprint")


class Workflow:
    """Runs phases as nested runs, or finds complete ones of the same fingerprint."""

    def __init__(self, config: Main, resolved: Resolved, desk: Desk, track: RunTrack) -> None:
        self._config = config
        self._resolved = resolved
        self._desk = desk
        self._track = track
        self.results: list[PhaseResult] = []

    def phase(self, scenario: str, name: str, *arguments: str) -> RunFacts:
        """One phase; the facts of its complete run."""
        began = time.monotonic()
        module = import_module(f"priorwise.phases.{name}")
        recipe = self._resolved.recipes[scenario]
        config = parse(name, module.Config, recipe, self._arguments(arguments))
        say(f"\n=== {name} {' '.join(arguments[:2]).replace('--', '')}")
        plan = module.prepare(config, self._desk)
        for result in self.results:
            if result.plan.fingerprint == plan.fingerprint:
                say(f"the same as for another scenario: run {result.facts.run_id}")
                return result.facts
        found = self._finished(plan)
        reused = found is not None
        if found is None:
            found = self._run(module, plan)
        else:
            say(f"reused: run {found.run_id} has the same fingerprint")
            self._track.tags({f"reused.{plan.run_name.replace(' ', '.')}": found.run_id})
        self.results.append(PhaseResult(plan, found, time.monotonic() - began, reused, scenario))
        return found

    def init_from(self, scenario: str, bce: dict[str, RunFacts], train: TableFacts) -> list[str]:
        """Start phase 3 from this recipe's own phase 1, not from whatever run is the newest."""
        wanted = self._resolved.settings[scenario]["nnpu_train"].init_from
        mode = max(bce, key=train.n_labelled) if wanted == "auto" else wanted
        return [f"--init_from={bce[mode].run_id}"] if mode in bce else []

    def _finished(self, plan: Plan) -> RunFacts | None:
        """A complete run of the same work on the same runs, its checkpoint still sound."""
        history = self._track.history
        facts = history.with_fingerprint(plan.fingerprint)
        if facts is None:
            return None
        if any(facts.params.get(f"contract.{tag}") != run for tag, run in plan.upstream.items()):
            say(f"run {facts.run_id} is not reused: it was built on runs that are not used now")
            return None
        recorded = facts.tags.get("checkpoint.sha256")
        if recorded and history.checkpoint_sha256(facts) != recorded:
            say(f"run {facts.run_id} is not reused: its checkpoint is gone or has changed")
            return None
        return facts

    def _run(self, module: ModuleType, plan: Plan) -> RunFacts:
        with self._track.child(plan.run_name) as child:
            begin(plan, child)
            module.run(plan, self._desk, child)
        facts = self._track.history.run(child.run_id)
        if facts is None or not facts.complete:
            raise TrackingFailure(f"run {child.run_id} of {plan.phase} is not complete")
        return facts

    def _arguments(self, arguments: tuple[str, ...]) -> list[str]:
        seed = [] if self._config.seed is None else [f"--seed={self._config.seed}"]
        return [*arguments, f"--data={self._resolved.folder}", *seed]
