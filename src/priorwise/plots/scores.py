"""Score histograms: what the model gives to labelled and to unlabelled rows."""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

N_BINS = 40


def score_histogram(scores: pd.DataFrame, title: str, c: float, pi: float | None = None) -> Figure:
    """Rows per score, and how many of them the positives explain.

    Labelled rows are positives picked at random, so all positives together are distributed over
    the scores as the labelled rows are: pi * n_rows * (share of the labelled rows in a bin). What
    is left of the histogram are the negatives.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns probability (in [0, 1]) and label (s).
    title : str
    c : float
        Estimated P(s=1 | y=1).
    pi : float, optional
        Estimated P(y=1) of these rows; the labelled fraction over c if not given.
    """
    score = scores["probability"].to_numpy(dtype=float)
    labelled = scores["label"].to_numpy() == 1
    edges = np.linspace(0, 1, N_BINS + 1)
    everyone, of_labelled = (np.histogram(v, edges)[0] for v in (score, score[labelled]))
    n, n_labelled = len(score), int(labelled.sum())
    if pi is None:
        pi = n_labelled / n / c if n and c > 0 else math.nan

    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.stairs(everyone, edges, fill=True, color="0.8", label=f"all rows, {n:,}")
    axes.stairs(
        of_labelled, edges, fill=True, color="tab:blue", label=f"labelled (s = 1), {n_labelled:,}"
    )
    highest = int(everyone.max(initial=1))
    if n_labelled and math.isfinite(pi):
        expected = pi * n * of_labelled / n_labelled
        highest = max(highest, math.ceil(expected.max()))
        axes.stairs(
            expected,
            edges,
            color="tab:red",
            lw=1.8,
            label=f"expected positives, pi = {pi:.3f}: {pi * n:,.0f}",
        )
        note = (
            "grey above the red line: negatives;  red line above the blue: positives without a "
            f"label (c = {c:.3f})"
        )
        axes.set_xlabel(f"score g(x), estimate of P(s=1 | x)\n{note}", fontsize=9)
    else:
        axes.set_xlabel("score g(x), estimate of P(s=1 | x)")
    axes.set(title=title, ylabel=f"rows per {1 / N_BINS:g} of score", xlim=(0, 1))
    axes.set_ylim(0, 1.05 * highest)
    axes.legend(frameon=False, loc="best")
    return figure
