"""What a run of the RNA benchmark is told, and the options of its trainings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from benchmarks.report import cores
from benchmarks.rna_data import LONGEST, ROOT, Source, bprna, part
from priorwise.errors import BadInput
from priorwise.phases.rna_data import RnaPrepare
from priorwise.phases.rna_options import RnaPretrain
from priorwise.rna.rows import RnaRows

CONFIGS = ROOT / "configs"
#: recipe of trainings of one network
RECIPE = CONFIGS / "rna_cpu.yaml"
#: those of the final model, whose networks differ: without feature maps, and with them
JOINED = {
    False: (RECIPE, CONFIGS / "rna_teacher.yaml"),
    True: (RECIPE, CONFIGS / "rna_teacher.yaml", CONFIGS / "rna_bpp.yaml"),
}
#: minutes that their trainings may take on two cores
BUDGETS = {False: 30.0, True: 45.0}
#: the cut is made once, whatever the seeds of the trainings
CUT_SEED = 1


@dataclass(frozen=True)
class Setting:
    """Parameters of the command.

    Attributes
    ----------
    source : Source
    out : pathlib.Path
        Folder of the tables, figures and models.
    seed, seeds : int
        First seed, and number of seeds where a part has several.
    threads, jobs : int
        Threads of a training on its own; processes of one thread each where trainings run side by
        side.
    cut : float
        Share of TR0 that is cut out by similarity, and validated with.
    limit : int
        At most so many sequences of each partition; 0 = what the part takes by itself.
    epochs, rounds : int
        Of trainings, and of timings; 0 = what the part takes by itself.
    minutes : float
        Budget of the final training; 0 = 30, with features 45.
    features : str
        As for rna_pretrain: none, bpp, or parameter sets.
    recipe : pathlib.Path or None
    checkpoints : tuple of pathlib.Path
        What `final` evaluates in place of training.
    preferences : tuple of float
        Of the sparse training: rows are drawn in proportion to loss ** preference.
    given : mapping of str to str
        Options of rna_pretrain that replace those of the part.
    """

    source: Source
    out: Path = Path("outputs/rna")
    seed: int = 1
    seeds: int = 0
    threads: int = 1
    jobs: int = field(default_factory=cores)
    cut: float = RnaPrepare.cut
    limit: int = 0
    epochs: int = 0
    rounds: int = 0
    minutes: float = 0.0
    features: str = "none"
    recipe: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    preferences: tuple[float, ...] = (1.0,)
    given: Mapping[str, str] = field(default_factory=dict)

    def rows(self, *partitions: str, limit: int = 0) -> RnaRows:
        """Rows of bpRNA; `limit` is the part's own, and gives way to that of the command."""
        every = bprna(self.source.bprna(), LONGEST, self.cut, CUT_SEED)
        return part(every, partitions, self.limit or limit, CUT_SEED)

    def options(self, base: Mapping[str, Any], **more: Any) -> RnaPretrain:
        """Options of a training: those of the part, then `more`, then those of the command."""
        values = {"seed": self.seed, **base, **more, **typed(self.given)}
        values.setdefault("patience", values.get("num_epochs", RnaPretrain.num_epochs))
        return RnaPretrain(**values)

    def budget(self) -> float:
        """Minutes that the final training may take."""
        return self.minutes or BUDGETS[self.features != "none"]

    def own_recipe(self) -> dict[str, Any]:
        """Options of the recipe of one network: the one given, or the project's own."""
        return recipe(self.recipe or RECIPE)

    def joined_recipes(self) -> list[dict[str, Any]]:
        """Options of the networks of the final model; of the one that is given, alone."""
        with_features = self.features != "none"
        paths = [self.recipe] if self.recipe else JOINED[with_features]
        found = [recipe(path) for path in paths]
        if with_features:  # it is the last one that sees them
            found[-1]["features"] = self.features
        return found

    def several(self, usual: int) -> range:
        """Seeds of a part that trains with several."""
        return range(self.seed, self.seed + (self.seeds or usual))


def recipe(path: Path) -> dict[str, Any]:
    """Options of a recipe's section rna_pretrain."""
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or not isinstance(content.get("rna_pretrain"), dict):
        raise SystemExit(f"error: {path}: no section rna_pretrain")
    return dict(content["rna_pretrain"])


def typed(given: Mapping[str, str]) -> dict[str, Any]:
    """Options from texts."""
    defaults = {f.name: f.default for f in fields(RnaPretrain)}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in defaults:
            raise BadInput(f"{name}: rna_pretrain has no such parameter")
        kind = type(defaults[name])
        try:
            values[name] = {"true": True, "false": False}[text] if kind is bool else kind(text)
        except (KeyError, ValueError) as error:
            raise BadInput(f"{name}: {text!r} (expected {kind.__name__})") from error
    return values
