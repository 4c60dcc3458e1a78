"""The four pictures of a training: losses, accuracies, learning rate and activation, summary.

They take any history that has a row per epoch: published metrics files of RNA trainings (by
epoch), histories of trainings on spectra. A panel without data is left out, and the others close
up; a picture without a panel is None.
"""

import textwrap
from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from priorwise.plots.metrics_panels import (
    F1,
    MLM,
    OTHER,
    PRECISION,
    RECALL,
    STRUCTURE,
    TRAINING,
    VALIDATION,
    Line,
    Panel,
    draw,
    with_data,
)

#: metrics per part of the RNA loss, and its title
PARTS = {
    "mlm_loss": "Masked nucleotides (MLM)",
    "structure_loss": "Structure",
    "pair_loss": "Base pairs",
}
#: of a picture's title
LETTERS_PER_INCH = 7
#: per polarity: colour, and the predicted share with the prior it should come to
POLARITIES = {"positive": TRAINING, "negative": VALIDATION}
AGAINST_PRIOR = (("q_unlabelled", "alpha"), ("q", "pi"))


def losses(history: pd.DataFrame, title: str) -> Figure | None:
    """Total loss and its parts, training and validation.

    Parameters
    ----------
    history : pandas.DataFrame
        One row per epoch: column `epoch` (0-based) and metrics such as `train_loss`, `val_loss`,
        `train_mlm_loss`.
    title : str
        What was trained.
    """
    panels = [_total(history), *(_loss(part, name) for part, name in PARTS.items())]
    return _grid(history, panels, "Losses", title)


def accuracies(history: pd.DataFrame, title: str) -> Figure | None:
    """How much is right: nucleotides and structure, base pairs; for spectra, recall and the like.

    Parameters as for `losses`; metrics are fractions, shown as percentages.
    """
    tokens = Panel(
        "Masked nucleotides and structure",
        "accuracy (%)",
        [
            *_both("mlm_accuracy", "MLM", MLM),
            *_both("structure_accuracy", "structure", STRUCTURE),
        ],
        percent=True,
    )
    panels = [tokens, _pairs(), _decoded(), *_without_negatives()]
    return _grid(history, panels, "Accuracies", title)


def lr_activation(history: pd.DataFrame, title: str, target: float | None = None) -> Figure | None:
    """Learning rate, and the share of samples (RNA) or of steps (nnPU) that something acts on.

    Parameters
    ----------
    history, title
        As for `losses`.
    target : float, optional
        Activation rate that was asked for, a fraction; drawn unless every sample was used.
    """
    rate = Line("learning_rate", "at the end of an epoch", TRAINING, best="max")
    panels = [
        Panel("Learning rate", "learning rate (log scale)", [rate], log=True),
        _activation(history, target),
        _clamp(),
    ]
    return _grid(history, panels, "Learning rate and activation", title)


def summary(history: pd.DataFrame, title: str) -> Figure | None:
    """All at a glance: the total loss above, its parts and what came of them below.

    Parameters as for `losses`.
    """
    parts = [_loss(part, f"{name}: loss") for part, name in PARTS.items()]
    scores = [
        Panel(f"{name}: accuracy", "accuracy (%)", _both(column, "", colour), percent=True)
        for column, name, colour in (
            ("mlm_accuracy", PARTS["mlm_loss"], MLM),
            ("structure_accuracy", PARTS["structure_loss"], STRUCTURE),
        )
    ]
    others = [*_without_negatives(), *_shares(history), _clamp()]
    top = with_data(history, [_total(history)])
    below = with_data(history, [*parts, *scores, _pairs(), *others])
    rows = [[panel] for panel in top] + [below[i : i + 3] for i in range(0, len(below), 3)]
    if not rows:
        return None
    across = max(len(row) for row in rows)
    figure = Figure(figsize=(5.2 * across, 3.6 * len(rows)), layout="constrained")
    _head(figure, f"Summary: {title}")
    grid = GridSpec(len(rows), 6, figure=figure)
    for i, row in enumerate(rows):
        wide = 6 // len(row)
        for j, panel in enumerate(row):
            draw(figure.add_subplot(grid[i, j * wide : (j + 1) * wide]), history, panel)
    return figure


#: file name (without ending) -> picture
FIGURES: dict[str, Callable[..., Figure | None]] = {
    "losses": losses,
    "accuracies": accuracies,
    "lr_activation": lr_activation,
    "summary": summary,
}


def _grid(history: pd.DataFrame, panels: Sequence[Panel], what: str, title: str) -> Figure | None:
    shown = with_data(history, panels)
    if not shown:
        return None
    across = len(shown) if len(shown) <= 3 else 2 if len(shown) == 4 else 3
    down = -(-len(shown) // across)
    figure = Figure(figsize=(6.2 * across, 4.2 * down + 0.3), layout="constrained")
    alone = len(shown) == 1
    _head(figure, f"{shown[0].title if alone else what}: {title}")
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel in zip(places, shown, strict=False):
        draw(axes, history, panel, titled=not alone)
    for axes in places[len(shown) :]:
        axes.remove()
    return figure


def _head(figure: Figure, text: str) -> None:
    wrapped = textwrap.fill(text, int(LETTERS_PER_INCH * figure.get_figwidth()))
    figure.suptitle(wrapped, fontsize="x-large", fontweight="bold")


def _total(history: pd.DataFrame) -> Panel:
    """Of RNA a weighted sum, of spectra a risk."""
    if any(f"train_{part}" in history or f"val_{part}" in history for part in PARTS):
        return _loss("loss", "Total loss", "weighted sum of losses")
    return _loss("loss", "Risk", "loss (nats per row)")


def _loss(column: str, title: str, unit: str = "loss (nats)") -> Panel:
    training = Line(f"train_{column}", "training", TRAINING)
    validation = Line(f"val_{column}", "validation", VALIDATION, best="min")
    return Panel(title, unit, [training, validation])


def _both(column: str, label: str, colour: str) -> list[Line]:
    """Validation, and training as a dashed line of the same colour."""
    names = [f"{label}, {word}".lstrip(", ") for word in ("validation", "training")]
    return [
        Line(f"val_{column}", names[0], colour, best="max"),
        Line(f"train_{column}", names[1], colour, "--"),
    ]


def _pairs() -> Panel:
    lines = [
        line
        for name, colour in (("F1", F1), ("precision", PRECISION), ("recall", RECALL))
        for line in _both(f"pair_{name.lower()}", name, colour)
    ]
    return Panel("Base pairs", "score (%)", lines, percent=True)


def _decoded() -> Panel:
    lines = [
        Line("val_strict_f1", "F1 per sequence, validation", F1, best="max"),
        Line("cut_strict_f1", "F1 per sequence, unseen families", STRUCTURE, best="max"),
        Line("val_ap", "average precision, validation", PRECISION, best="max"),
    ]
    return Panel("Decoded structures", "score (%)", lines, percent=True)


def _without_negatives() -> list[Panel]:
    """What can be said of a classifier on rows that carry no negative label."""
    recall = [
        Line("val_recall", "recall of labelled rows", VALIDATION, best="max"),
        Line("q", "q, predicted positive", OTHER),
    ]
    proxies = [
        Line("proxy_f1", "proxy F1", F1, best="max"),
        Line("proxy_accuracy", "proxy accuracy", MLM),
    ]
    areas = [
        Line("pu_auc", "corrected for the prior", F1, best="max"),
        Line("labelled_auc", "labelled against unlabelled", OTHER, best="max"),
    ]
    return [
        Panel("Recall and predicted share", "validation rows (%)", recall, percent=True),
        Panel("Scores without negatives", "score (%)", proxies, percent=True),
        Panel("Ranking", "area under the ROC curve", areas),
        Panel("PU-F (Lee and Liu)", "recall² / q", [Line("pu_f", "PU-F", STRUCTURE, best="max")]),
    ]


def _shares(history: pd.DataFrame) -> list[Panel]:
    """Predicted share of each polarity, and the prior it should come to."""
    lines = []
    for mode, colour in POLARITIES.items():
        for share, prior in AGAINST_PRIOR:
            if f"{share}.{mode}" in history and f"{prior}.{mode}" in history:
                lines += [
                    Line(f"{share}.{mode}", f"{share}, {mode} polarity", colour),
                    Line(f"{prior}.{mode}", f"{prior}, {mode} polarity", colour, "--"),
                ]
                break
    return [Panel("Predicted share against the prior", "validation rows (%)", lines, percent=True)]


def _clamp() -> Panel:
    line = Line("clamp_rate", "clamped", VALIDATION)
    return Panel("Non-negative clamp", "training steps (%)", [line], percent=True)


def _activation(history: pd.DataFrame, target: float | None) -> Panel:
    column = "activation_rate"
    sparse = column in history and bool((history[column] < 1).any())
    return Panel(
        "Samples trained on",
        "activation rate (%)",
        [Line(column, "activated", MLM)],
        percent=True,
        top=105,
        level=(target, f"target {100 * target:g} %") if sparse and target is not None else None,
    )
