"""The phases of `main` as nested runs; what was done before is found again by fingerprint."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from priorwise.errors import TrackingFailure
from priorwise.phases.arguments import parse
from priorwise.phases.desk import Desk, Plan, Recipe, begin, say
from priorwise.phases.results import PhaseResult
from priorwise.spectra.facts import TableFacts
from priorwise.tracking.models import MODEL_ID, MODEL_SHA256
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
            self._track.tags({self._reused_tag(plan): found.run_id})
        self.results.append(PhaseResult(plan, found, time.monotonic() - began, reused, scenario))
        return found

    def init_from(self, scenario: str, bce: dict[str, RunFacts], train: TableFacts) -> list[str]:
        """Start phase 3 from this recipe's own phase 1, not from whatever run is the newest."""
        wanted = self._resolved.settings[scenario]["nnpu_train"].init_from
        mode = max(bce, key=train.n_labelled) if wanted == "auto" else wanted
        return [f"--init_from={bce[mode].run_id}"] if mode in bce else []

    def _finished(self, plan: Plan) -> RunFacts | None:
        """A complete run of the same work on the same runs, what it left behind still sound."""
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
        model = facts.tags.get(MODEL_ID)
        if model and self._track.models.sha256_now(model) != facts.tags.get(MODEL_SHA256):
            say(f"run {facts.run_id} is not reused: its model is gone or has changed")
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

    def _reused_tag(self, plan: Plan) -> str:
        """A name of its own for each reused run: two recipes may share a run name."""
        tag = f"reused.{plan.run_name.replace(' ', '.')}"
        same = [r for r in self.results if r.reused and r.plan.run_name == plan.run_name]
        return f"{tag}.{len(same) + 1}" if same else tag

    def _arguments(self, arguments: Sequence[str]) -> list[str]:
        seed = [] if self._seed is None else [f"--seed={self._seed}"]
        return [*arguments, f"--data={self._resolved.folder}", *seed]
