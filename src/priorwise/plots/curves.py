"""Training curves from a history table."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

#: panels: title, y-axis label, metrics drawn
PANELS = (
    ("Risk", "loss (nats per row)", ("train_loss", "val_loss")),
    ("Recall and predicted share", "fraction of rows", ("val_recall", "q")),
    ("Scores without negatives", "score", ("proxy_f1", "proxy_accuracy")),
    ("Ranking", "area under the ROC curve", ("pu_auc", "labelled_auc")),
    ("PU-F (Lee and Liu)", "recall squared / predicted share", ("pu_f",)),
    ("Distance of q from the prior", "|q - prior|, fraction of rows", ("q_gap",)),
    ("Non-negative clamp", "clamped fraction of steps", ("clamp_rate",)),
)
#: per polarity: the predicted share, and the class prior it should come to
AGAINST_PRIOR = (("q_unlabelled", "alpha"), ("q", "pi"))
COLOURS = {"positive": "tab:blue", "negative": "tab:orange"}
ACROSS = 3


def training_curves(history: pd.DataFrame, title: str) -> Figure:
    """Curves of all recorded metrics, one panel per kind; panels without data are left out.

    Parameters
    ----------
    history : pandas.DataFrame
        One row per epoch: column `epoch` (0-based) and metrics.
    title : str
        What was trained.
    """
    panels = [
        (name, label, [m for m in metrics if _has(history, m)]) for name, label, metrics in PANELS
    ]
    panels = [panel for panel in panels if panel[2]]
    shares = _shares(history)
    n_panels = len(panels) + bool(shares)
    across = min(max(n_panels, 1), ACROSS)
    down = -(-n_panels // across) or 1
    figure = Figure(figsize=(4.6 * across, 3.4 * down), layout="constrained")
    figure.suptitle(title)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for unused in places[n_panels:]:
        unused.remove()
    for axes, (name, label, metrics) in zip(places, panels, strict=False):
        for metric in metrics:
            axes.plot(history["epoch"] + 1, history[metric], marker="o", ms=3, label=metric)
        _finish(axes, name, label)
    if shares:
        _draw_shares(places[len(panels)], history, shares)
    return figure


def _has(history: pd.DataFrame, column: str) -> bool:
    return column in history and bool(history[column].notna().any())


def _shares(history: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(polarity, predicted share, prior) for each polarity with both on record."""
    found = []
    for mode in COLOURS:
        for share, prior in AGAINST_PRIOR:
            if _has(history, f"{share}.{mode}") and _has(history, f"{prior}.{mode}"):
                found.append((mode, f"{share}.{mode}", f"{prior}.{mode}"))
                break
    return found


def _draw_shares(axes: Axes, history: pd.DataFrame, shares: list[tuple[str, str, str]]) -> None:
    """Predicted share of each polarity against its prior, a dashed line."""
    epochs = history["epoch"] + 1
    for mode, share, prior in shares:
        colour = COLOURS[mode]
        axes.plot(epochs, history[share], marker="o", ms=3, color=colour, label=share)
        value = float(history[prior].dropna().iloc[-1])
        axes.axhline(value, color=colour, ls="--", lw=1.2, label=f"{prior} {value:.3f}")
    axes.set_ylim(0, 1)
    _finish(axes, "Predicted share against the prior", "fraction of rows")


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.set(title=title, xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
