"""Strict F1 of a model beside its baselines: by stratum, by family, over the length."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from priorwise.plots.label_frequency import shortened

#: colours of the methods that every evaluation has
METHODS = {"model": "tab:blue", "rnafold": "tab:orange", "copy": "0.45"}
OTHERS = ("tab:green", "tab:purple", "tab:red", "tab:cyan")
#: so many families fit into one figure
MOST_FAMILIES = 30
#: sequences of one point of the curve over the length
PER_BIN = 50
MARKERS = "osD^v<>"


def f1_by_stratum(table: pd.DataFrame, what: str, title: str) -> Figure:
    """Mean F1 of every method in each stratum, side by side, with 95 % intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns group, method, n, f1, f1.low, f1.high; strata in the order of their first line.
    what : str
        What the strata are of, for the axis: "identity with the nearest training sequence".
    title : str
    """
    strata = list(dict.fromkeys(table["group"]))
    methods = _colours(table)
    figure = Figure(figsize=(max(5.5, 1.8 + 1.5 * len(strata)), 4.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / max(len(methods), 1)
    for k, (method, colour) in enumerate(methods.items()):
        lines = table[table["method"] == method].set_index("group").reindex(strata)
        x = np.arange(len(strata)) + (k - (len(methods) - 1) / 2) * width
        axes.bar(x, lines["f1"], width * 0.92, color=colour, alpha=0.85, label=method)
        axes.errorbar(x, lines["f1"], yerr=_ends(lines), fmt="none", ecolor="black", lw=1)
        for place, value, high in zip(x, lines["f1"], lines["f1.high"], strict=True):
            if np.isfinite(value):
                said = f"{value:.2f}".removeprefix("0")
                axes.text(place, high + 0.015, said, ha="center", va="bottom", fontsize=8)
    n = table.groupby("group")["n"].first()
    axes.set_xticks(range(len(strata)), [f"{s}\nn = {n[s]:,}" for s in strata])
    axes.set(title=title, xlabel=what, ylabel="mean strict F1 per sequence", ylim=(0, 1.08))
    axes.set_yticks(np.arange(0, 1.01, 0.2))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def f1_by_family(table: pd.DataFrame, title: str) -> Figure:
    """Mean F1 of every method in each family, one line per family, with 95 % intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns group (the family), method, n, f1, f1.low, f1.high. Of more than `MOST_FAMILIES`
        those with most sequences are drawn; the largest is on top.
    title : str
    """
    sizes = table.groupby("group", sort=False)["n"].first().sort_values(ascending=False)
    families = list(sizes.index[:MOST_FAMILIES])
    methods = _colours(table)
    height = 0.1 * len(methods) + 0.08
    figure = Figure(figsize=(7.2, 1.9 + height * max(len(families), 3)), layout="constrained")
    axes = figure.subplots()
    for k, (method, colour) in enumerate(methods.items()):
        lines = table[table["method"] == method].set_index("group").reindex(families)
        y = np.arange(len(families)) + (k - (len(methods) - 1) / 2) * 0.6 / max(len(methods), 1)
        axes.errorbar(
            lines["f1"],
            y,
            xerr=_ends(lines),
            fmt=MARKERS[k % len(MARKERS)],
            ms=5,
            lw=1.2,
            color=colour,
            label=method,
        )
    less = f"\nthe {MOST_FAMILIES} largest of {len(sizes)} families" * (len(sizes) > len(families))
    axes.set(title=title + less, xlabel="mean strict F1 per sequence", xlim=(-0.02, 1.02))
    labels = [f"{shortened(str(f))} (n = {sizes[f]:,})" for f in families]
    axes.set_yticks(range(len(families)), labels, fontsize=8)
    axes.set_ylim(len(families) - 0.4, -0.6)
    for line in range(1, len(families)):
        axes.axhline(line - 0.5, color="0.9", lw=0.8)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=4)
    return figure


def f1_against_length(scores: pd.DataFrame, title: str) -> Figure:
    """F1 over the length: each sequence of the first method, and the mean of every method.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns length (nt), method, f1; one line per sequence and method. Means are of about
        `PER_BIN` or more sequences next to each other in length.
    title : str
    """
    methods = _colours(scores)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for k, (method, colour) in enumerate(methods.items()):
        lines = scores[scores["method"] == method].sort_values("length", kind="stable")
        if k == 0:
            axes.plot(
                lines["length"],
                lines["f1"],
                "o",
                ms=3,
                alpha=0.3,
                color=colour,
                label=f"{method}, one sequence",
                mew=0,
            )
        n_bins = min(max(len(lines) // PER_BIN, 1), 20)
        parts = [lines.iloc[p] for p in np.array_split(np.arange(len(lines)), n_bins)]
        axes.plot(
            [p["length"].mean() for p in parts],
            [p["f1"].mean() for p in parts],
            marker=MARKERS[k % len(MARKERS)],
            ms=5,
            color=colour,
            label=f"{method}, mean",
        )
    axes.set(
        title=title, xlabel="length (nt)", ylabel="strict F1 of the sequence", ylim=(-0.03, 1.03)
    )
    axes.grid(alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _colours(table: pd.DataFrame) -> dict[str, str]:
    """Colour of each method, in the order of their first lines."""
    spare = iter(OTHERS * (1 + len(table)))
    return {m: METHODS.get(m) or next(spare) for m in dict.fromkeys(table["method"])}


def _ends(lines: pd.DataFrame) -> np.ndarray:
    """Lengths of the error bars below and above each mean."""
    ends = np.array([lines["f1"] - lines["f1.low"], lines["f1.high"] - lines["f1"]])
    return np.clip(ends, 0, None)  # a mean is in its interval but for rounding
