"""How fast the spectra pipeline is beside the published approach, part by part, on the same rows.

    python -m benchmarks.speed [PART...] [--out outputs/speed] [--rounds 5] [--quick] ...

    loader     shuffled batches ready for the network; padding
    storage    bytes of a table
    step       training steps: same batches, length buckets, bfloat16; and the floor
    compile    training steps with torch.compile and without
    inference  predictions
    pyfunc     what the served model adds to each row
    tracking   what a step waits for its metrics
    scaling    cost as rows, peaks and d_model grow
    sizes      rows per second and memory, by the peaks of a row
    quality    whether buckets and bfloat16 cost anything, over 10 seeds
    run        one whole small nnpu_train, and its memory

All parts if none is named. Lines of a part take turns in one process; ratios are taken round by
round. Each part prints a table and its goals, and writes CSV files and a figure to --out; the last
line sums up all ratios.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    speed_loader,
    speed_quality,
    speed_run,
    speed_scaling,
    speed_serving,
    speed_sizes,
    speed_step,
    speed_storage,
    speed_tracking,
)
from benchmarks.report import cores
from benchmarks.speed_setting import Setting
from benchmarks.tables import Report

PARTS: dict[str, Callable[[Setting], Report]] = {
    "loader": speed_loader.run,
    "storage": speed_storage.run,
    "step": speed_step.run,
    "compile": speed_step.run_compiled,
    "inference": speed_step.run_inference,
    "pyfunc": speed_serving.run,
    "tracking": speed_tracking.run,
    "scaling": speed_scaling.run,
    "sizes": speed_sizes.run,
    "quality": speed_quality.run,
    "run": speed_run.run,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    command = argparse.ArgumentParser(
        "python -m benchmarks.speed", None, __doc__ or "", formatter_class=raw
    )
    command.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    command.add_argument("--out", type=Path, default=Path("outputs/speed"))
    command.add_argument("--rows", type=int, default=0, help="of the loaders' table; 0: 100,000")
    command.add_argument("--rounds", type=int, default=0, help="0: 5")
    command.add_argument("--threads", type=int, default=cores())
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--quick", action="store_true", help="a small part of all, to try it")
    return command


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, and sum up."""
    command = parser()
    given = command.parse_args(arguments)
    for part in given.parts:
        if part not in PARTS:
            command.error(f"{part!r}: no such part (expected of {', '.join(PARTS)})")
    warnings.filterwarnings("ignore", message="lance is not fork-safe.*")
    setting = Setting(
        out=given.out,
        rows=given.rows or (4_000 if given.quick else 100_000),
        rounds=given.rounds or (1 if given.quick else 5),
        threads=given.threads,
        seed=given.seed,
        quick=given.quick,
    )
    reports = [PARTS[name](setting) for name in given.parts or PARTS]
    goals = [goal for report in reports for goal in report.goals]
    told = "; ".join(f"{goal.what} {goal.value:.3g} {goal.reached}" for goal in goals)
    print("summary:", told or "these parts have no goals")


if __name__ == "__main__":
    main()
