"""What every phase has at hand, and the plan it makes before it starts."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from priorwise.errors import BadInput
from priorwise.learn.stopping import StopRequest
from priorwise.spectra.schema import SCHEMA_NAME as SPECTRA
from priorwise.tracking.datasets import lance_input
from priorwise.tracking.runs import RunTrack
from priorwise.tracking.search import TURN
from priorwise.tracking.secrets import scrub

WORK_FOLDER = Path(".priorwise")
#: bytes of a recipe; ours have some thousands
LARGEST_RECIPE = 1 << 20
#: param: digests of all tables of a run
TABLES = "contract.tables"


def say(line: str) -> None:
    """Show a line to the user at once, without the passwords in it: it ends up in log files."""
    sys.stdout.write(scrub(line) + "\n")
    sys.stdout.flush()


class Recipe:
    """A YAML file with one section per phase, plus `training` shared by both trainings.

    Parameters
    ----------
    path : str
        The file; empty for no recipe.

    Raises
    ------
    BadInput
        If the file is not there, is not YAML, or names an unknown section.
    """

    SECTIONS = (
        "training",
        "simulate",
        "ingest",
        "dataset_stats",
        "bce_pretrain",
        "predict",
        "estimate_prior",
        "nnpu_train",
        "select_threshold",
        "evaluate",
        "promote",
        "score",
        "import_checkpoint",
        "rna_prepare",
        "rna_training",
        "rna_pretrain",
        "rna_ensemble",
        "rna_evaluate",
        "rna_sweep",
        "plot_metrics",
        "sync_run",
        "janitor",
        "doctor",
        "main",
    )

    def __init__(self, path: str = "") -> None:
        self.path = path
        self._content: dict[str, dict[str, Any]] = {}
        if not path:
            return
        content = _yaml_of(path)
        if not isinstance(content, dict):
            raise BadInput(f"config {path}: expected sections named after phases")
        for name, section in content.items():
            if name not in self.SECTIONS:
                raise BadInput(
                    f"config {path}: unknown section {repr(name)[:100]} (expected "
                    f"{', '.join(self.SECTIONS)})"
                )
            if not isinstance(section, dict):
                raise BadInput(f"config {path}: section {name} must hold `parameter: value` lines")
        self._content = content

    def under(self, top: "Recipe") -> "Recipe":
        """Lay another recipe over this one: what `top` sets wins."""
        both = Recipe()
        both.path = " under ".join(path for path in (self.path, top.path) if path)
        names = [*self._content, *(name for name in top._content if name not in self._content)]
        both._content = {
            name: {**self._content.get(name, {}), **top._content.get(name, {})} for name in names
        }
        return both

    def arguments(self, phase: str) -> list[str]:
        """The section of a phase as command-line arguments, for one way of checking values."""
        shared = self._content.get("training", {})
        wanted = shared if phase in ("bce_pretrain", "nnpu_train") else {}
        section = {**wanted, **self._content.get(phase, {})}
        for key, value in section.items():
            if not isinstance(value, str | int | float | bool):
                raise BadInput(
                    f"config {self.path}: {key}: expected a text, a number, true or false, "
                    f"found {type(value).__name__}"
                )
        return [f"--{key}={_text(value)}" for key, value in section.items()]


def _yaml_of(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            text = file.read(LARGEST_RECIPE + 1)
        if len(text) > LARGEST_RECIPE:
            raise BadInput(f"config {path}: is no recipe (more than {LARGEST_RECIPE:,} bytes)")
        return yaml.safe_load(text.decode("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"config {path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date, an endless number
        raise BadInput(f"config {path}: is not YAML ({_short(error)})") from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Desk:
    """Recipe, run and stop request of this process."""

    recipe: Recipe
    track: RunTrack
    stop: StopRequest


@dataclass(frozen=True)
class Plan:
    """All that is known of a phase before it starts: enough to find a finished run of the same.

    Attributes
    ----------
    phase, polarity : str
    config : object
        The effective configuration.
    tables : dict of role -> TableFacts or RnaFacts
        Pinned, checked inputs: uri, version, digest, schema and profile() are used here. The first
        one is the training table.
    upstream : dict of tag -> run id
    fingerprint : str
    resolved : object
        Whatever the phase resolved for itself.
    schema : str
        Contract of the tables it makes or uses; that of the first table it reads goes before.
    """

    phase: str
    polarity: str
    config: Any
    tables: dict[str, Any]
    fingerprint: str
    upstream: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    resolved: Any = None
    schema: str = SPECTRA

    @property
    def run_name(self) -> str:
        """Shown in the UI."""
        parts = [self.phase, self.polarity, self.variant]
        return " ".join(part for part in parts if part)

    @property
    def variant(self) -> str:
        """The scenario or estimator that tells this run from another one of its phase."""
        own = getattr(self.config, "scenario", "") or getattr(self.config, "estimator", "")
        return own or self.tags.get("scenario", "")

    def table_digests(self) -> str:
        """Digest of each table by its role: says what has changed when a run is resumed."""
        return ", ".join(f"{role} {table.digest}" for role, table in self.tables.items())

    def contract(self) -> dict[str, str]:
        """The facts that a later resolution compares."""
        facts = {"phase": self.phase, "schema": self.schema, "fingerprint": self.fingerprint}
        if self.polarity:
            facts["polarity"] = self.polarity
        if self.tables:
            first = next(iter(self.tables.values()))
            facts["schema"] = first.schema
            facts["data.digest"] = first.digest
            facts["data.version"] = str(first.version)
        return {**facts, **self.upstream}


def begin(plan: Plan, track: RunTrack) -> None:
    """Write the run contract: name, tags, immutable params, configuration, dataset inputs.

    The facts are tags, which the UI can filter, and params under `contract.`, which nobody can
    change afterwards.
    """
    facts = plan.contract()
    track.name(plan.run_name)
    track.tags({**facts, **plan.tags})
    params = {f"contract.{key}": value for key, value in facts.items()}
    params[TURN] = track.history.next_turn()
    if plan.tables:
        params[TABLES] = plan.table_digests()
    track.params(params)
    track.config(plan.config)
    inputs = [
        lance_input(
            Path(facts_of.uri).name,
            role,
            facts_of.uri,
            facts_of.version,
            facts_of.digest,
            facts_of.profile(),
        )
        for role, facts_of in plan.tables.items()
    ]
    if inputs:
        track.inputs(inputs)
