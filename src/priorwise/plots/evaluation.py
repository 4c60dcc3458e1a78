"""Figures of an evaluation: recall per data set, and the scores with the threshold."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from priorwise.plots.curves import COLOURS
from priorwise.plots.label_frequency import shortened
from priorwise.plots.scores import score_histogram

#: so many data sets fit into one figure
MOST_GROUPS = 40


def recall_by_dataset(groups: pd.DataFrame, recall: float, threshold: float, title: str) -> Figure:
    """Recall of each data set and polarity with its interval, lowest first.

    Parameters
    ----------
    groups : pandas.DataFrame
        Columns dataset_id, polarity, n_labelled, recall, recall.low, recall.high; lines without
        labelled rows are left out. Of more than `MOST_GROUPS` those with most labelled rows are
        drawn.
    recall : float
        Of all labelled rows together.
    threshold : float
    title : str
    """
    known = groups[groups["n_labelled"] > 0]
    drawn = known.nlargest(MOST_GROUPS, "n_labelled").sort_values("recall", kind="stable")
    drawn = drawn.reset_index(drop=True)
    figure = Figure(figsize=(7.2, 1.9 + 0.24 * max(len(drawn), 3)), layout="constrained")
    axes = figure.subplots()
    for mode, colour in COLOURS.items():
        here = drawn[drawn["polarity"] == mode]
        if here.empty:
            continue
        ends = [here["recall"] - here["recall.low"], here["recall.high"] - here["recall"]]
        axes.errorbar(
            here["recall"],
            here.index,
            xerr=np.array(ends),
            fmt="o",
            ms=5,
            lw=1.2,
            color=colour,
            label=f"{mode} mode",
        )
    axes.axvline(recall, color="tab:red", lw=1.2, label=f"all together: {recall:.3f}")
    figure.legend(frameon=False, loc="outside lower center", ncols=3, fontsize=8)
    less = f"; the {MOST_GROUPS} largest of {len(known)}" if len(known) > len(drawn) else ""
    figure.suptitle(f"{title}\nrecall at {threshold:.4f}, 95 % intervals{less}", fontsize=11)
    axes.set(xlabel="kept share of the labelled scans; n: labelled scans", xlim=(0, 1.02))
    names = zip(drawn["dataset_id"], drawn["n_labelled"], strict=True)
    axes.set_yticks(drawn.index, [f"{shortened(name)} (n={n:,})" for name, n in names])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    return figure


def scores_at_threshold(
    scores: pd.DataFrame, threshold: float, title: str, c: float = math.nan
) -> Figure:
    """Score histogram by s, with the threshold.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns probability (in [0, 1]) and label (s), of one polarity.
    threshold : float
    title : str
    c : float, optional
        Estimated P(s=1 | y=1); nan if not known: then no expected positives are drawn.
    """
    figure = score_histogram(scores, title, c)
    (axes,) = figure.axes
    axes.axvline(threshold, color="k", lw=1.2, ls="--", label=f"threshold {threshold:.4f}")
    note = axes.get_xlabel().partition("\n")[2]
    axes.set_xlabel("\n".join(filter(None, ["probability given by the model", note])))
    axes.legend(frameon=False, loc="best")
    return figure
