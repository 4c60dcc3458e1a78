"""What the RNA pipeline reaches on real data, and what others reach: one part after the other.

    python -m benchmarks.rna PART... [--data FOLDER_OR_CSV] [--out outputs/rna] [--limit 40] ...

    goals      the seed's small model on real labels, judged as the seed asks for
    published  the published modules and ours: same data, encoder and CPU time
    speed      samples per second of the training, same small model
    ast        sparse training at 40 %: speed and F1, paired seeds
    ablation   what each choice changes, one at a time
    final      30 minutes on 2 cores (45 with features), then TS0 and NEW, once

Each part prints a table and its goals, and writes CSV files and a figure to --out. The data are
bprna.csv and archiveII.csv in PRIORWISE_SHARED/data/rna, else in ../shared/data/rna; nothing is
made up where they are missing. --limit and --epochs cut a part short, to try it.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    rna_ablation,
    rna_ast,
    rna_final,
    rna_goals,
    rna_published,
    rna_speed,
)
from benchmarks.report import cores
from benchmarks.rna_data import Source, default_folder
from benchmarks.rna_setting import Setting
from benchmarks.tables import Report
from priorwise.errors import BadInput
from priorwise.phases.rna_data import RnaPrepare

PARTS: dict[str, Callable[[Setting], Report]] = {
    "goals": rna_goals.run,
    "published": rna_published.run,
    "speed": rna_speed.run,
    "ast": rna_ast.run,
    "ablation": rna_ablation.run,
    "final": rna_final.run,
}
#: threads of the parts whose training is alone; the goal of `final` is about two cores
THREADS = {"final": 2}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    doc = __doc__ or ""
    raw = argparse.RawDescriptionHelpFormatter
    command = argparse.ArgumentParser("python -m benchmarks.rna", None, doc, formatter_class=raw)
    command.add_argument("parts", nargs="+", metavar="PART", help=", ".join(PARTS))
    command.add_argument("--data", type=Path, default=default_folder(), help="folder, or a CSV")
    command.add_argument("--out", type=Path, default=Path("outputs/rna"))
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--seeds", type=int, default=0, help="how many; 0: the part's own number")
    command.add_argument("--threads", type=int, default=0, help="0: 1, and 2 in final")
    command.add_argument("--jobs", type=int, default=cores(), help="processes in ast, ablation")
    command.add_argument("--cut", type=float, default=RnaPrepare.cut, help="CUT's share of TR0")
    command.add_argument("--limit", type=int, default=0, help="sequences of each partition; 0: all")
    command.add_argument("--epochs", type=int, default=0, help="0: the part's own number")
    command.add_argument("--rounds", type=int, default=0, help="of timings; 0: the part's own")
    command.add_argument("--minutes", type=float, default=0.0, help="budget of final; 0: 30, or 45")
    command.add_argument("--features", default="none", help="of final: none, bpp, parameter sets")
    command.add_argument("--recipe", type=Path, help="YAML in place of the project's own")
    command.add_argument(
        "--checkpoint",
        default="",
        help="final only evaluates this network folder, or these checkpoints of its recipes: A,B",
    )
    command.add_argument("--preference", default="1", help="of ast; several with commas: 0,1,2")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of rna_pretrain, in place of the part's own value",
    )
    return command


def settings(command: argparse.ArgumentParser, arguments: Sequence[str] | None) -> list[Setting]:
    """One setting per part that was asked for, and checks of all of them before the first runs."""
    given = command.parse_args(arguments)
    for part in given.parts:
        if part not in PARTS:
            command.error(f"{part!r}: no such part (expected of {', '.join(PARTS)})")
    for pair in given.set:
        if "=" not in pair:
            command.error(f"--set: {pair!r} (expected NAME=VALUE)")
    checkpoints = tuple(Path(path) for path in given.checkpoint.split(",") if path)
    for path in (given.recipe, *checkpoints):
        if path is not None and not path.exists():
            command.error(f"{path} is not there")
    try:
        preferences = tuple(float(text) for text in given.preference.split(","))
    except ValueError:
        command.error(f"--preference: {given.preference!r} (expected numbers: 0,1,2)")
    return [
        Setting(
            source=Source(given.data),
            out=given.out,
            seed=given.seed,
            seeds=given.seeds,
            threads=given.threads or THREADS.get(part, 1),
            jobs=given.jobs,
            cut=given.cut,
            limit=given.limit,
            epochs=given.epochs,
            rounds=given.rounds,
            minutes=given.minutes,
            features=given.features,
            recipe=given.recipe,
            checkpoints=checkpoints,
            preferences=preferences,
            given=dict(pair.split("=", 1) for pair in given.set),
        )
        for part in given.parts
    ]


def main(arguments: list[str] | None = None) -> None:
    """Run the parts."""
    command = parser()
    every = settings(command, arguments)
    names = command.parse_args(arguments).parts
    # of torch, inside Lightning
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    # the trainings that run side by side in forked processes use no Lance
    warnings.filterwarnings("ignore", message="lance is not fork-safe.*")
    try:
        for name, setting in zip(names, every, strict=True):
            PARTS[name](setting)
    except BadInput as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
