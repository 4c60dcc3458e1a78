"""Pair probabilities: are they true, how do they rank, and where do they lie in one sequence."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

#: up to this length the letters of the sequence are written along the axes of a dot plot
MOST_LETTERS = 64
FOUND, MISSED, WRONG = "tab:green", "tab:red", "tab:orange"


def pair_reliability(bins: pd.DataFrame, ece: float, title: str) -> Figure:
    """Share of true pairs against mean probability, with the number of cells behind each point.

    Parameters
    ----------
    bins : pandas.DataFrame
        Columns mean_probability, paired_share (fractions in [0, 1]) and cells, one line per bin of
        the probability that holds cells.
    ece : float
        Expected calibration error of the bins from .05 on; nan if not known.
    title : str
    """
    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color="0.6", ls=":", label="perfectly calibrated")
    x, y, cells = (bins[name] for name in ("mean_probability", "paired_share", "cells"))
    # Wald's interval is enough to see which points can be believed
    error = 1.96 * np.sqrt(np.clip(y * (1 - y), 0, None) / cells)
    above.errorbar(x, y, yerr=error, color="tab:blue", marker="o", ms=4, label="model, 95 %")
    said = f"\nECE {ece:.3f}, of cells with a probability from .05 on" if math.isfinite(ece) else ""
    above.set(
        title=f"{title}{said}",
        ylabel="true pairs, fraction of the bin's cells",
        xlim=(0, 1),
        ylim=(-0.02, 1.02),
    )
    above.grid(alpha=0.3)
    above.legend(frameon=False, loc="upper left")
    below.plot(x, cells, color="tab:blue", marker="o", ms=3, lw=1)
    below.set(xlabel="mean predicted pair probability of the bin", ylabel="cells", yscale="log")
    below.grid(alpha=0.3)
    return figure


def pair_precision_recall(
    curve: pd.DataFrame, threshold: float, average_precision: float, title: str
) -> Figure:
    """Precision against recall of cells, before decoding, with the chosen threshold.

    Parameters
    ----------
    curve : pandas.DataFrame
        Columns threshold (descending), recall and precision, fractions in [0, 1], of the cells at
        or above each threshold.
    threshold : float
        The one that is used.
    average_precision : float
        The area below the curve; in [0, 1].
    title : str
    """
    figure = Figure(figsize=(6.0, 5.2), layout="constrained")
    axes = figure.subplots()
    if curve.empty:
        axes.text(0.5, 0.5, "no true pairs", ha="center", transform=axes.transAxes)
    else:
        axes.step(
            np.concatenate([[0.0], curve["recall"]]),
            np.concatenate([curve["precision"].iloc[:1], curve["precision"]]),
            where="pre",
            color="tab:blue",
            label=f"average precision {average_precision:.3f}",
        )
        used = curve[curve["threshold"] >= threshold]
        here = used.iloc[-1] if len(used) else curve.iloc[0]
        axes.plot(
            here["recall"],
            here["precision"],
            "o",
            color="tab:red",
            label=f"threshold {threshold:.2f}: precision {here['precision']:.3f}, "
            f"recall {here['recall']:.3f}",
        )
        axes.legend(frameon=False, loc="lower left")
    axes.set(
        title=f"{title}\ncells i < j, j - i >= 4, all sequences together, before decoding",
        xlabel="recall: fraction of true pairs that is found",
        ylabel="precision: fraction of called cells that is true",
        xlim=(0, 1.01),
        ylim=(0, 1.02),
    )
    axes.grid(alpha=0.3)
    return figure


def dot_plot(cells: pd.DataFrame, sequence: str, title: str) -> Figure:
    """Predicted probabilities above the diagonal and the true pairs below it, of one sequence.

    Parameters
    ----------
    cells : pandas.DataFrame
        Columns i, j (0-based, i < j), probability (in [0, 1]), predicted and true (bool: whether
        the pair is in the decoded, in the true structure). Cells that are not listed have a
        probability of 0.
    sequence : str
    title : str
    """
    length = len(sequence)
    figure = Figure(figsize=(6.8, 6.9), layout="constrained")
    axes = figure.subplots()
    i, j = cells["i"] + 1, cells["j"] + 1
    predicted, true = (cells[name].to_numpy(dtype=bool) for name in ("predicted", "true"))
    size = (72 * 5.4 / max(length, 10)) ** 2  # one cell, in square points
    shown = axes.scatter(
        j, i, c=cells["probability"], s=size, marker="s", cmap="Greys", vmin=0, vmax=1, lw=0
    )
    outcomes = (
        (predicted & true, FOUND, "true pair, predicted"),
        (predicted & ~true, WRONG, "predicted, not true"),
        (~predicted & true, MISSED, "true pair, missed"),
    )
    for which, colour, label in outcomes:
        label = f"{label}: {int(which.sum())}"
        if colour != MISSED:  # a ring around what was decoded
            axes.scatter(
                j[which], i[which], s=size, marker="s", facecolors="none", edgecolors=colour, lw=1.2
            )
        below = which & true
        axes.scatter(i[below], j[below], color=colour, s=size, marker="s", lw=0)
        filled = "none" if colour == WRONG else colour
        axes.scatter([], [], facecolors=filled, edgecolors=colour, s=40, marker="s", label=label)
    axes.plot([0.5, length + 0.5], [0.5, length + 0.5], color="0.7", lw=0.8)
    figure.colorbar(shown, ax=axes, label="predicted pair probability", shrink=0.7)
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=9)
    axes.set(
        title=f"{title}\nabove the diagonal: predicted; below: true",
        xlabel="position (nt)",
        ylabel="position (nt)",
        xlim=(0.5, length + 0.5),
        ylim=(length + 0.5, 0.5),
        aspect="equal",
    )
    _letters(axes, sequence)
    return figure


def _letters(axes: Axes, sequence: str) -> None:
    """The bases along both axes, or numbers where there are too many."""
    for axis in (axes.xaxis, axes.yaxis):
        if len(sequence) <= MOST_LETTERS:
            axis.set_minor_locator(MaxNLocator(integer=True))
            axis.set_ticks(range(1, len(sequence) + 1), list(sequence), fontsize=6)
            axis.set_tick_params(length=0)
        else:
            axis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.2)
