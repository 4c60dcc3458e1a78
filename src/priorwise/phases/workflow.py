"""The phases of `main` as nested runs; what was done before is found again by fingerprint."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from priorwise.phases.arguments import parse
from priorwise.phases.desk import Desk, Plan, Recipe, say
from priorwise.phases.nested_runs import NestedRuns
from priorwise.phases.results import PhaseResult
from priorwise.spectra.facts import TableFacts
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import RunFacts


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
    tests : dict of name -> TableFacts
        The test sets that are there.
    """

    folder: str
    recipes: dict[str, Recipe]
    settings: dict[str, dict[str, Any]]
    tests: dict[str, TableFacts]


class Workflow:
    """Runs phases as nested runs, or finds complete ones of the same fingerprint.

    Parameters
    ----------
    resolved : Resolved
    seed : int or None
        Of every phase; None = the recipe's.
    desk : Desk
    track : RunTrack
        The run of `main`.
    """

    def __init__(self, resolved: Resolved, seed: int | None, desk: Desk, track: RunTrack) -> None:
        self._resolved = resolved
        self._seed = seed
        self._desk = desk
        self._track = track
        self._nested = NestedRuns(desk, track)
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
        found = self._nested.finished(plan)
        reused = found is not None
        if found is None:
            found = self._nested.run(module, plan)
        else:
            say(f"reused: run {found.run_id} has the same fingerprint")
            self._track.tags({self._reused_tag(plan): found.run_id})
        self.results.append(PhaseResult(plan, found, time.monotonic() - began, reused, scenario))
        return found

    def init_from(self, scenario: str, bce: dict[str, RunFacts], train: TableFacts) -> list[str]:
        """Start phase 3 from this recipe's own phase 1, not from whatever run is the newest."""
        wanted = self._resolved.settings[scenario]["nnpu_train"].init_from
        mode = max(bce, key=train.n_labelled) if wanted == "auto" else wanted
        return [f"--init_from={bce[mode].run_id}"] if mode in bce else []

    def _reused_tag(self, plan: Plan) -> str:
        """A name of its own for each reused run: two recipes may share a run name."""
        tag = f"reused.{plan.run_name.replace(' ', '.')}"
        same = [r for r in self.results if r.reused and r.plan.run_name == plan.run_name]
        return f"{tag}.{len(same) + 1}" if same else tag

    def _arguments(self, arguments: Sequence[str]) -> list[str]:
        seed = [] if self._seed is None else [f"--seed={self._seed}"]
        return [*arguments, f"--data={self._resolved.folder}", *seed]
