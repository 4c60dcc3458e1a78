"""Score histograms: what the model gives to labelled and to unlabelled rows."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def score_histogram(scores: pd.DataFrame, title: str, c: float) -> Figure:
    """Densities of the scores by s, with the label frequency c marked.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns probability (in [0, 1]) and label (s).
    title : str
    c : float
        Estimated P(s=1 | y=1): mean score of the labelled rows for e1.
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    bins = np.linspace(0, 1, 41).tolist()
    for label, name, colour in (
        (0, "unlabelled (s=0)", "tab:gray"),
        (1, "labelled (s=1)", "tab:blue"),
    ):
        part = scores.loc[scores["label"] == label, "probability"]
        if len(part):
            axes.hist(
                part,
                bins=bins,
                density=True,
                alpha=0.55,
                color=colour,
                label=f"{name}, n={len(part)}",
            )
    axes.axvline(c, color="tab:red", ls="--", label=f"c = {c:.4f}")
    axes.set(
        title=title, xlabel="score g(x), estimate of P(s=1 | x)", ylabel="density", xlim=(0, 1)
    )
    axes.legend(frameon=False)
    return figure
