"""Training curves from a history table."""

import pandas as pd
from matplotlib.figure import Figure

#: panels: title, y-axis label, metrics drawn
PANELS = (
    ("Risk", "loss (nats per row)", ("train_loss", "val_loss")),
    ("Recall and predicted share", "fraction of rows", ("val_recall", "q")),
    ("Scores without negatives", "score", ("proxy_f1", "proxy_accuracy")),
    ("PU-F (Lee and Liu)", "recall squared / predicted share", ("pu_f",)),
    ("Non-negative clamp", "clamped fraction of steps", ("clamp_rate",)),
)
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
        (name, label, [m for m in metrics if m in history and history[m].notna().any()])
        for name, label, metrics in PANELS
    ]
    panels = [panel for panel in panels if panel[2]]
    across = min(max(len(panels), 1), ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.6 * across, 3.4 * down), layout="constrained")
    figure.suptitle(title)
    places = figure.subplots(down, across, squeeze=False).ravel()
    for unused in places[len(panels) :]:
        unused.remove()
    for axes, (name, label, metrics) in zip(places, panels, strict=False):
        for metric in metrics:
            axes.plot(history["epoch"] + 1, history[metric], marker="o", ms=3, label=metric)
        axes.set(title=name, xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure
