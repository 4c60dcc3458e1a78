"""Figures of an estimated prior: the BBE curve, and the estimators side by side."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike


def bbe_curve(
    share: ArrayLike, ratio: ArrayLike, upper: ArrayLike, chosen: int, title: str
) -> Figure:
    """What best bin estimation (Garg et al. 2021) chooses from.

    Parameters
    ----------
    share : array_like of shape (n_bins,)
        Share of the labelled rows in the top bin, in (0, 1].
    ratio, upper : array_like of shape (n_bins,)
        q_u / q_p in the bin, and its upper confidence bound.
    chosen : int
        Position of the bin with the smallest bound.
    title : str
    """
    x, y, bound = (np.asarray(v, float) for v in (share, ratio, upper))
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, color="tab:blue", label="unlabelled / labelled share, q_u / q_p")
    axes.plot(x, bound, color="0.5", ls="--", lw=1, label="its upper confidence bound")
    axes.plot(x[chosen], bound[chosen], "v", color="0.4", ms=7, label="smallest bound")
    axes.plot(x[chosen], y[chosen], "o", color="tab:red", ms=8, label=f"alpha = {y[chosen]:.3f}")
    axes.axhline(y[chosen], color="tab:red", lw=0.8, alpha=0.5)
    # the smallest bins are noise, the last ones hold all rows: neither tells anything
    wide = (x >= 0.05) & (x <= 0.95)
    highest = max(float(y[wide].max(initial=0)), 1.8 * float(bound[chosen]))
    axes.set(
        title=title,
        xlabel="share of the labelled rows above the threshold, q_p (1 = all rows)",
        ylabel="positive share of the unlabelled rows",
        xlim=(0, 1),
        ylim=(0, min(highest, 2.0)),
    )
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="best")
    return figure


def estimators_compared(
    pi: Mapping[str, float],
    chosen: str,
    interval: tuple[float, float],
    s: float,
    title: str,
    *,
    interval_label: str = "95 % interval",
    truth: float | None = None,
) -> Figure:
    """Pi by estimator, with the interval of the one that enters the prior record.

    Parameters
    ----------
    pi : mapping of str -> float
        Estimates in the order of the figure, from above; nan where an estimator failed.
    chosen : str
        The estimator of the record.
    interval : tuple of float
        Interval of its pi.
    s : float
        Labelled fraction: pi cannot be below it.
    title : str
    interval_label : str
        What the interval shows, for the legend.
    truth : float, optional
        The true pi of simulated data.
    """
    names = list(pi)
    values = np.array([pi[name] for name in names], float)
    figure = Figure(figsize=(7.2, 1.6 + 0.27 * len(names)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(names))
    right = float(np.nanmax([*np.clip(values, 0, 1), min(interval[1], 1.0), s, truth or 0.0, 0.1]))
    right = min(1.0, right + 0.15)
    axes.axvspan(0, s, color="0.93", zorder=0)
    axes.axvline(s, color="0.5", lw=1, label=f"s = {s:.3f}: pi cannot be lower")
    axes.axvspan(*interval, color="tab:red", alpha=0.12, label=f"{chosen}: {interval_label}")
    if truth is not None:
        axes.axvline(truth, color="tab:green", lw=1.6, ls="--", label=f"true pi = {truth:.3f}")
    for place, name, value in zip(places, names, values, strict=True):
        if not np.isfinite(value):
            axes.text(s + 0.01, float(place), "no estimate", va="center", fontsize=8, color="0.4")
            continue
        strong = name == chosen
        outside = value > 1
        shown = min(value, right)
        axes.plot(
            shown,
            place,
            ">" if outside else "o",
            color="tab:red" if strong else "tab:blue",
            ms=9 if strong else 6,
            clip_on=False,
        )
        text = f"{value:.3f}"
        side = -8 if shown > right - 0.09 else 8
        axes.annotate(
            text,
            (shown, place),
            xytext=(side, 0),
            textcoords="offset points",
            va="center",
            ha="left" if side > 0 else "right",
            fontsize=8,
            fontweight="bold" if strong else "normal",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
    figure.suptitle(title, fontsize=11)
    axes.set(xlabel="class prior pi, share of all rows", xlim=(0, right))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(places, names)
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == chosen else "normal")
    axes.grid(axis="y", alpha=0.25)
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=8)
    return figure
