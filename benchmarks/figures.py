"""Figures of the benchmarks: curves over epochs, dots per line of a table."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

#: published methods are grey, ours blue
OURS, OTHERS = "tab:blue", "0.55"


def over_epochs(
    history: pd.DataFrame, panels: Mapping[str, Mapping[str, str]], bounds: Mapping[str, float]
) -> Figure:
    """Metrics over epochs, one panel per kind.

    Parameters
    ----------
    history : pandas.DataFrame
        One line per epoch.
    panels : mapping of axis label to mapping of column to words
    bounds : mapping of column to value
        Drawn dashed in the colour of the column.
    """
    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    every = np.atleast_1d(figure.subplots(1, len(panels)))
    epochs = np.arange(1, len(history) + 1)
    for axes, (label, columns) in zip(every, panels.items(), strict=True):
        for k, (column, words) in enumerate(columns.items()):
            axes.plot(epochs, history[column], "o-", ms=4, color=f"C{k}", label=words)
            if column in bounds:
                axes.axhline(bounds[column], ls="--", lw=1, color=f"C{k}")
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    return figure


def dots(
    lines: pd.DataFrame,
    name: str,
    values: Mapping[str, str],
    title: str,
    *,
    ours: Sequence[str] = (),
    bounds: Mapping[str, float] | None = None,
) -> Figure:
    """One dot for each row of a line, per column; lines from top to bottom.

    Parameters
    ----------
    lines : pandas.DataFrame
        Rows with the name of their line; several rows of one line are its seeds.
    name : str
        Column with that name.
    values : mapping of column to axis label
    title : str
    ours : sequence of str
        Lines to be drawn in colour.
    bounds : mapping of column to value, optional
        What must be reached: a dashed line.
    """
    order = list(dict.fromkeys(lines[name]))
    width, height = 2.2 + 3.4 * len(values), 1.5 + 0.3 * len(order)
    figure = Figure(figsize=(width, height), layout="constrained")
    every = np.atleast_1d(figure.subplots(1, len(values), sharey=True))
    places = {line: len(order) - k for k, line in enumerate(order)}
    for axes, (column, label) in zip(every, values.items(), strict=True):
        for line, rows in lines.groupby(name, sort=False):
            colour = OURS if line in ours else OTHERS
            y = np.full(len(rows), places[line])
            axes.plot(rows[column], y, "o", ms=5, alpha=0.8, color=colour)
            if len(rows) > 1:
                axes.plot(rows[column].mean(), places[line], "|", ms=14, mew=2, color=colour)
        if bounds and column in bounds:
            axes.axvline(bounds[column], ls="--", lw=1, color="black")
        axes.set(xlabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(alpha=0.3)
    every[0].set_yticks(list(places.values()), list(places))
    every[0].set_ylim(0.4, len(order) + 0.6)
    figure.suptitle(title, fontsize="medium")
    return figure
