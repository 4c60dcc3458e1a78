"""The whole spectra workflow in one process: pretraining, priors, nnPU, threshold, evaluation.

The published scenario is trained with the recipe as it is; every other one with the recommended
recipe laid over it, so that the two ways stand side by side. What they share is done once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from priorwise.errors import BadInput
from priorwise.phases.arguments import parse
from priorwise.phases.bce_pretrain import BcePretrain
from priorwise.phases.checks import at_least, polarity_list, writable_file
from priorwise.phases.data import data_folder, require_labelled, training_tables
from priorwise.phases.desk import Desk, Plan, Recipe, say
from priorwise.phases.estimate_prior import EstimatePrior
from priorwise.phases.evaluate import Evaluate
from priorwise.phases.nnpu_train import NnpuTrain
from priorwise.phases.results import results_table
from priorwise.phases.select_threshold import SelectThreshold
from priorwise.phases.testsets import TEST_SETS, find_test_sets
from priorwise.phases.truth import add_truth
from priorwise.phases.workflow import Resolved, Workflow
from priorwise.pu.risk import Scenario
from priorwise.tracking.fingerprint import PROJECT_ROOT, fingerprint
from priorwise.tracking.runs import RunTrack


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
        Folders of the test sets; auto = test_1 ... in `data`. Without the second or the third, no
        threshold is selected, or no model evaluated.
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

    def where(self, test: str) -> Sequence[str]:
        """The argument that says where a test set lies, if the user said so."""
        folder = getattr(self, test)
        return [] if folder == "auto" else [f"--{test}={folder}"]

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
PHASES = {
    "bce_pretrain": BcePretrain,
    "estimate_prior": EstimatePrior,
    "nnpu_train": NnpuTrain,
    "select_threshold": SelectThreshold,
    "evaluate": Evaluate,
}


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
    named = {name: getattr(config, name) for name in TEST_SETS}
    tests = find_test_sets(folder, named, {"training": train, "validation": held_out}, desk)
    # found now, not after the first training
    for scenario, phases in settings.items():
        for mode in modes:
            require_labelled(tests["test_1"], mode, phases["estimate_prior"].min_labelled, "c")
            if "test_2" in tests:
                wanted = phases["select_threshold"].min_labelled
                require_labelled(tests["test_2"], mode, wanted, "a threshold")
            if "test_3" in tests:
                tests["test_3"].require(mode, what="recall")
        announce(scenario, recipes[scenario], phases)
    return Plan(
        phase="main",
        polarity=config.polarities,
        config=config,
        tables={"training": train},
        fingerprint=fingerprint("main", asdict(config), [train.digest], {}),
        resolved=Resolved(folder, recipes, settings, tests),
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
    workflow = Workflow(plan.resolved, config.seed, desk, track)

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
                *config.where("test_1"),
            )
            for mode in modes
        }
        model = workflow.phase(
            scenario,
            "nnpu_train",
            f"--polarities={config.polarities}",
            f"--scenario={scenario}",
            *[f"--prior_{mode[:3]}={priors[mode].run_id}" for mode in modes],
            *workflow.init_from(scenario, bce, plan.tables["training"]),
        )
        for name, test in (("select_threshold", "test_2"), ("evaluate", "test_3")):
            if test in plan.resolved.tests:
                model = workflow.phase(
                    scenario, name, f"--model={model.run_id}", *config.where(test)
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
