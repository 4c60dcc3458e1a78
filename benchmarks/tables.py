"""How a part of a benchmark shows what it found: a table, goals, files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.report import aligned

SIGNS = {
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
}


@dataclass(frozen=True)
class Goal:
    """A number, and what it must reach.

    Attributes
    ----------
    what : str
    value : float
    must : float or None
        None: only shown.
    stretch : float or None
    sign : {">", ">=", "<", "<="}
    reference : str
        What others reach.
    """

    what: str
    value: float
    must: float | None = None
    stretch: float | None = None
    sign: str = ">="
    reference: str = ""

    @property
    def reached(self) -> str:
        """yes, no, stretch; nothing without a goal; a value that is not a number is a no."""
        if self.must is None:
            return ""
        if self.stretch is not None and SIGNS[self.sign](self.value, self.stretch):
            return "stretch"
        return "yes" if SIGNS[self.sign](self.value, self.must) else "no"

    def line(self) -> dict[str, object]:
        """Of the table of goals."""
        bound = [None if b is None else f"{self.sign} {b:g}" for b in (self.must, self.stretch)]
        return {
            "goal": self.what,
            "value": float(self.value),
            "must reach": bound[0] or "",
            "reached": self.reached,
            "stretch": bound[1] or "",
            "reference": self.reference,
        }


@dataclass(frozen=True)
class Report:
    """What a part found.

    Attributes
    ----------
    name : str
        Of the part and of its files.
    title : str
    used : sequence of str
        Lines: which rows, options, threads.
    table : pandas.DataFrame
    goals : sequence of Goal
    figures : mapping
        Figure by ending of its file name; the empty one is the part's own.
    others : mapping
        More tables by ending of their file names.
    files : mapping
        Tables that are only written.
    columns : sequence of str
        Those of the table that are printed; all if empty.
    """

    name: str
    title: str
    used: Sequence[str]
    table: pd.DataFrame
    goals: Sequence[Goal]
    figures: dict[str, Figure]
    others: dict[str, pd.DataFrame] = field(default_factory=dict)
    files: dict[str, pd.DataFrame] = field(default_factory=dict)
    columns: Sequence[str] = ()

    def write(self, out: Path) -> list[Path]:
        """Write tables as CSV and figures as PNG."""
        out.mkdir(parents=True, exist_ok=True)
        goals = pd.DataFrame([goal.line() for goal in self.goals])
        tables = {"": self.table, "_goals": goals, **self.others, **self.files}
        written = []
        for ending, table in tables.items():
            if not table.empty:
                written.append(out / f"{self.name}{ending}.csv")
                table.to_csv(written[-1], index=False)
        for ending, figure in self.figures.items():
            written.append(out / f"{self.name}{ending}.png")
            figure.savefig(written[-1], dpi=110)
        return written

    def text(self) -> str:
        """What is printed."""
        table = self.table[list(self.columns)] if self.columns else self.table
        blocks = ["\n".join([f"== {self.name}: {self.title}", *self.used]), shown(table)]
        blocks += [shown(other) for other in self.others.values()]
        if self.goals:
            blocks.append(shown(pd.DataFrame([goal.line() for goal in self.goals])))
        return "\n\n".join(blocks)


def present(report: Report, out: Path) -> Report:
    """Write and print."""
    written = report.write(out)
    print(f"\n{report.text()}\n\nwritten: {', '.join(map(str, written))}\n", flush=True)
    return report


def shown(table: pd.DataFrame) -> str:
    """The table as aligned text; whole numbers without decimals."""
    if table.empty:
        return "(nothing)"
    cells = table.copy()
    for name in cells.columns:
        if pd.api.types.is_numeric_dtype(cells[name]):
            whole = pd.api.types.is_integer_dtype(cells[name])
            texts = cells[name].map(str if whole else _number)
            cells[name] = texts.str.rjust(max(len(name), int(texts.str.len().max())))
    lines = aligned(cells).splitlines()
    if cells[cells.columns[0]].is_unique:  # rules part groups; here every line is one
        lines = lines[:2] + [line for line in lines[2:] if line != lines[1]]
    return "\n".join(lines)


def _number(value: float) -> str:
    """Four significant digits at least, and no more decimals than that needs."""
    if not np.isfinite(value):
        return "" if np.isnan(value) else str(value)
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.4f}"
