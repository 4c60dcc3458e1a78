"""The outcome of a selection as a function of pi over its interval."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def prior_sensitivity(
    curves: pd.DataFrame, pi: float, title: str, *, kept_label: str = "kept epoch"
) -> Figure:
    """The outcome of a selection if pi were another value of its interval.

    Parameters
    ----------
    curves : pandas.DataFrame
        Columns pi (ascending, over the interval), proxy_f1, proxy_accuracy, r, q, kept: the fields
        of `priorwise.pu.sensitivity.Sensitivity`, epochs counted as the reader counts them.
    pi : float
        The estimate.
    title : str
    kept_label : str
        What `kept` is, with its unit: `kept epoch` or `threshold`.
    """
    figure = Figure(figsize=(6.8, 6.2), layout="constrained")
    scores, rates, kept = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 1.6))
    panels: tuple[tuple[Axes, str, dict[str, str]], ...] = (
        (scores, "score", {"proxy_f1": "proxy F1", "proxy_accuracy": "proxy accuracy"}),
        (rates, "fraction of rows", {"r": "recall on labelled, r", "q": "predicted positive, q"}),
        (kept, kept_label, {"kept": kept_label}),
    )
    for axes, ylabel, columns in panels:
        for column, label in columns.items():
            style = "steps-mid" if column == "kept" else "default"
            axes.plot(curves["pi"], curves[column], label=label, drawstyle=style)
        axes.axvline(pi, color="tab:red", ls="--", lw=1.2)
        axes.set_ylabel(ylabel)
        axes.grid(alpha=0.3)
    for axes in (scores, rates):
        axes.legend(frameon=False, loc="best", fontsize=8)
    if (curves["kept"] == curves["kept"].round()).all():
        kept.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    rates.set_ylim(-0.02, 1.02)
    low, high = curves["pi"].iloc[0], curves["pi"].iloc[-1]
    scores.set_title(f"{title}\n{_outcome(curves['kept'], kept_label)}")
    kept.set_xlabel(f"class prior pi over its interval ({low:.3f} to {high:.3f}); red: {pi:.3f}")
    if low < high:
        kept.set_xlim(low, high)
    return figure


def _outcome(kept: pd.Series, kept_label: str) -> str:
    """How much hangs on pi, in words."""
    if kept.nunique() == 1:
        return f"the {kept_label} is the same from end to end"
    return f"the {kept_label} moves between {kept.min():.4g} and {kept.max():.4g}"
