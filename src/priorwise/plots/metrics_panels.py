"""Panels of training histories: which lines, in which unit and colour; and how one is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, NullFormatter

# P. Tol's "bright" scheme: told apart by colour-blind readers, too
TRAINING, VALIDATION = "#4477AA", "#EE6677"
MLM, STRUCTURE = "#228833", "#AA3377"
F1, PRECISION, RECALL = "#333333", "#66CCEE", "#CCBB44"
OTHER = "#777777"
#: a loss that falls by more than this is drawn on a log axis
STEEP = 50.0
#: labels of an axis of epochs
MOST_TICKS = 10


@dataclass(frozen=True)
class Line:
    """One column of a history.

    Attributes
    ----------
    column, label : str
    colour : str
    style : str
        Of the line, for Matplotlib; solid ones have markers.
    best : {"", "min", "max"}
        The epoch to name in the legend.
    """

    column: str
    label: str
    colour: str
    style: str = "-"
    best: Literal["", "min", "max"] = ""


@dataclass(frozen=True)
class Panel:
    """Lines that share a unit.

    Attributes
    ----------
    title, unit : str
        The latter is the label of the y-axis.
    lines : sequence of Line
    percent : bool
        The columns are fractions, drawn as percentages from 0 upwards.
    log : bool
        Draw on a log axis; otherwise this happens only where values fall steeply.
    level : tuple of (value, label), optional
        A horizontal line, in the unit of the columns.
    top : float, optional
        Upper end of a percentage axis.
    """

    title: str
    unit: str
    lines: Sequence[Line]
    percent: bool = False
    log: bool = False
    level: tuple[float, str] | None = None
    top: float | None = None


def with_data(history: pd.DataFrame, panels: Sequence[Panel]) -> list[Panel]:
    """Panels and lines of which something was recorded."""
    found = []
    for panel in panels:
        lines = [line for line in panel.lines if len(_points(history, panel, line)[0])]
        if lines:
            found.append(replace(panel, lines=lines))
    return found


def draw(axes: Axes, history: pd.DataFrame, panel: Panel, titled: bool = True) -> None:
    """Draw a panel; its epochs count from 1."""
    values = []
    for line in panel.lines:
        epochs, y = _points(history, panel, line)
        values.append(y)
        solid = line.style == "-"
        axes.plot(
            epochs,
            y,
            line.style,
            color=line.colour,
            label=line.label + _best(epochs, y, line, panel),
            marker="o" if solid else "x" if len(y) == 1 else "",
            ms=4 if len(y) <= 40 else 2,
            lw=1.8 if solid else 1.3,
            zorder=3 if solid else 2,
        )
    if panel.level:
        value, label = panel.level
        values.append(np.array([value * (100 if panel.percent else 1)]))
        axes.axhline(values[-1][0], color=VALIDATION, ls="--", lw=1.3, zorder=4, label=label)
    if titled:
        axes.set_title(panel.title, fontweight="bold", fontsize="medium")
    axes.set(xlabel="epoch", ylabel=panel.unit)
    _scale_x(axes, history)
    _scale_y(axes, np.concatenate(values), panel)
    axes.grid(alpha=0.25, lw=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize="small")


def _points(history: pd.DataFrame, panel: Panel, line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Epochs from 1, and what was recorded in them."""
    if line.column not in history:
        return np.empty(0), np.empty(0)
    y = history[line.column].to_numpy(float) * (100 if panel.percent else 1)
    shown = np.isfinite(y) & ((y > 0) | (not panel.log))
    return history["epoch"].to_numpy()[shown] + 1, y[shown]


def _best(epochs: np.ndarray, y: np.ndarray, line: Line, panel: Panel) -> str:
    if not line.best or len(y) < 2:
        return ""
    at = int(y.argmin() if line.best == "min" else y.argmax())
    word = "lowest" if line.best == "min" else "highest"
    value = f"{y[at]:.1f} %" if panel.percent else f"{y[at]:.4g}"
    return f" ({word} {value}, epoch {epochs[at]})"


def _scale_x(axes: Axes, history: pd.DataFrame) -> None:
    first, last = int(history["epoch"].min()) + 1, int(history["epoch"].max()) + 1
    margin = max(0.5 if first == last else 0.0, (last - first) * 0.03)
    axes.set_xlim(first - margin, last + margin)
    steps = (base * 10**power for power in range(9) for base in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= MOST_TICKS)
    multiples = range(step, last + 1, step)
    axes.set_xticks([first, *(epoch for epoch in multiples if epoch - first > step / 2)])


def _scale_y(axes: Axes, y: np.ndarray, panel: Panel) -> None:
    low, high = float(y.min()), float(y.max())
    if panel.log or (not panel.percent and low > 0 and high / low > STEEP):
        axes.set_yscale("log")
        # within a few decades the powers of ten alone would be two ticks or none
        few = high / low < 1000
        minor = LogFormatterSciNotation(minor_thresholds=(3, 1)) if few else NullFormatter()
        axes.yaxis.set_minor_formatter(minor)
        axes.tick_params(axis="y", which="minor", labelsize="x-small")
        if high / low < 1.01:
            axes.set_ylim(low / 3, high * 3)
    elif panel.percent and low >= 0:
        axes.set_ylim(0, panel.top or (high * 1.08 if high > 0 else 1))
