"""What the benchmarks share: jobs over processes, and one table in the terminal and as CSV."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from tqdm import tqdm

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], n_processes: int, note: str
) -> list[Result]:
    """Results in the order of the jobs; one progress bar.

    Processes are forked: what the caller loaded is there without being sent.
    """
    with own_arithmetic():  # before the fork: the processes inherit it
        if n_processes == 1:
            return [function(job) for job in tqdm(jobs, desc=note)]
        results: dict[int, Result] = {}
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(n_processes, mp_context=context) as pool:
            waiting = {pool.submit(function, job): i for i, job in enumerate(jobs)}
            for done in tqdm(as_completed(waiting), total=len(jobs), desc=note):
                results[waiting[done]] = done.result()
        return [results[i] for i in range(len(jobs))]


@contextmanager
def own_arithmetic() -> Iterator[None]:
    """One thread, and no subnormal numbers: weights that decay to almost nothing would be slow.

    Both are put back afterwards, for whatever else this process does.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


def cores() -> int:
    """Cores that this process may use, at most 2: what the stated durations are for."""
    return min(2, len(os.sched_getaffinity(0)))


def write(table: pd.DataFrame, rows: pd.DataFrame, out: Path) -> str:
    """Write the table to `out` and the single results beside it; the text to print."""
    out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out, index=False)
    beside = out.with_name(f"{out.stem}_rows.csv")
    rows.to_csv(beside, index=False)
    lines = aligned(table).splitlines()
    return "\n".join(["", *lines, "", f"written: {out}, {beside}", ""])


def aligned(table: pd.DataFrame) -> str:
    """The table as text; a group's name stands only in its first row, a rule between groups."""
    group = table.columns[0]
    cells = table.map(lambda v: v if isinstance(v, str) else "" if pd.isna(v) else f"{v:.4f}")
    repeated = table[group].eq(table[group].shift())
    cells[group] = cells[group].mask(repeated, "")
    numeric = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])]
    widths = {c: max(len(c), *(len(v) for v in cells[c])) for c in table.columns}

    def line(values: dict[str, str]) -> str:
        padded = (
            values[c].rjust(widths[c]) if c in numeric else values[c].ljust(widths[c])
            for c in table.columns
        )
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths.values()) + 2 * (len(widths) - 1))
    lines = [line({c: c for c in table.columns})]
    for (_, row), again in zip(cells.iterrows(), repeated, strict=True):
        if not again:
            lines.append(rule)
        lines.append(line(dict(row)))
    return "\n".join(lines)
