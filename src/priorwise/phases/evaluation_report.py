"""What a user sees of an evaluation: figures, the printed table, and what to doubt."""

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from priorwise.phases.desk import Plan, say
from priorwise.phases.evaluation_tables import Groups, labelled_by_dataset, total
from priorwise.plots.evaluation import recall_by_dataset, scores_at_threshold
from priorwise.pu.dataset_recall import ENOUGH_DATASETS, recall_check
from priorwise.pu.evaluation import Frequency, no_selection, precision

#: false-alarm rate of the check that recall is alike in all data sets, polarities together
LEVEL = 0.05


def figures(
    scores: pd.DataFrame,
    lines: pd.DataFrame,
    metrics: Mapping[str, float],
    c: Mapping[str, Frequency],
) -> Iterator[tuple[str, Figure]]:
    """Name and figure: recall per data set, and the scores of each polarity."""
    threshold = metrics["threshold"]
    yield (
        "recall_by_dataset",
        recall_by_dataset(lines, metrics["recall"], threshold, "Test Set 3"),
    )
    for mode, rows in scores.groupby("polarity"):
        frequency = c[str(mode)].c if mode in c else math.nan
        title = f"Scores, Test Set 3, {mode} mode"
        yield f"scores_{mode}", scores_at_threshold(rows, threshold, title, frequency)


def announce(summary: pd.DataFrame, metrics: Mapping[str, float], plan: Plan) -> None:
    """Print the summary as a table, and the interval of recall for a new data set."""
    shown = pd.DataFrame(summary[["rows of", "scans", "labelled"]])
    headings = {
        "recall": "recall",
        "share_kept": "kept",
        "precision": "precision (estimated)",
        "q": "at .5 or above",
    }
    for name, heading in headings.items():
        if name in summary:
            ends = (summary[f"{name}{end}"] for end in ("", ".low", ".high"))
            shown[heading] = [_with_interval(*values) for values in zip(*ends, strict=True)]
    rule = plan.tags["rule"] or "none chosen"
    model = plan.upstream["upstream.model"]
    say(f"threshold {metrics['threshold']:.4f} (rule {rule}), model {model}")
    say(shown.to_string(index=False))
    if "recall.dataset.low" in metrics:
        low, high = metrics["recall.dataset.low"], metrics["recall.dataset.high"]
        say(f"recall if other data sets had been drawn: {low:.3f} to {high:.3f} (95 % bootstrap)")
    else:
        say(f"no interval by data set: fewer than {ENOUGH_DATASETS} have labelled scans")


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f}-{high:.3f})" if math.isfinite(value) else "unknown"


def doubts(
    groups: Groups, metrics: Mapping[str, float], c: Mapping[str, Frequency], modes: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Name and text of what a user should know before the model is used."""
    pi = _prior(groups, c) if len(c) == len(modes) else math.nan
    line = no_selection(metrics["share_kept"], pi)
    if line:
        yield "degenerate_share", f"at threshold {metrics['threshold']:.4f} {line}"
    for mode in modes:
        labelled, kept = labelled_by_dataset(groups, mode)
        check = recall_check(labelled, kept)
        if check.p_value < LEVEL / len(modes):
            yield (
                f"dataset_recall.{mode}",
                f"recall differs between the data sets of {mode} mode by more than chance "
                f"(chi-square {check.statistic:.1f}, {check.groups - 1} df, p = "
                f"{check.p_value:.2g}): one figure does not describe them all",
            )
        found = precision([(total(groups, mode), c[mode])]).unclipped if mode in c else math.nan
        if found > 1:
            yield (
                f"precision.{mode}",
                f"more of the kept scans of {mode} mode are labelled than c = {c[mode].c:.4f} "
                f"allows (precision would be {found:.3f}; 1 is shown): c is too low for this table",
            )


def _prior(groups: Groups, c: Mapping[str, Frequency]) -> float:
    """Pi of these rows, all polarities together."""
    positives = sum(total(groups, mode).labelled / frequency.c for mode, frequency in c.items())
    return positives / total(groups).rows
