"""What every threshold would do, and which one was chosen."""

import pandas as pd
from matplotlib.figure import Figure

from priorwise.pu.threshold import Outcome

#: share of scans kept below which the estimated precision is not drawn
FEWEST_KEPT = 0.02


def threshold_curves(curve: pd.DataFrame, chosen: Outcome, rule: str, title: str) -> Figure:
    """Recall and share of kept scans over the threshold, and against each other.

    Parameters
    ----------
    curve : pandas.DataFrame
        Columns threshold (ascending), recall, share_kept and precision, fractions in [0, 1]; a
        precision that is nan is left out. The fields of `priorwise.pu.threshold.ThresholdCurve`.
    chosen : Outcome
    rule : str
        How it was chosen.
    title : str
    """
    figure = Figure(figsize=(10.4, 4.3), layout="constrained")
    figure.suptitle(f"{title}\n{_outcome(chosen, rule)}", fontsize=11)
    over, against = figure.subplots(1, 2)
    lines = [
        ("recall", "recall on labelled scans", "tab:blue"),
        ("share_kept", "share kept", "0.3"),
    ]
    if curve["precision"].notna().any():
        lines.append(("precision", "precision, estimated", "tab:green"))
        # of a handful of scans it says nothing, and jumps
        few = curve["share_kept"] < FEWEST_KEPT
        curve = curve.assign(precision=curve["precision"].mask(few))
    for column, label, colour in lines:
        # a threshold between two scores does what the higher one does
        over.step(curve["threshold"], curve[column], where="pre", color=colour, label=label)
    over.axvline(chosen.threshold, color="tab:red", lw=1.2, label=f"chosen: {chosen.threshold:.4f}")
    over.plot([chosen.threshold] * 2, [chosen.recall, chosen.share_kept], "o", color="tab:red")
    over.set(xlabel="threshold on the probability", ylabel="fraction of scans", xlim=(0, 1))
    over.legend(frameon=False, fontsize=8, loc="best")
    against.plot([0, 1], [0, 1], color="0.6", ls=":", lw=1, label="scans kept at random")
    against.plot(curve["share_kept"], curve["recall"], color="tab:blue")
    against.plot(chosen.share_kept, chosen.recall, "o", color="tab:red", label="chosen")
    against.set(
        xlabel="share of all scans that is kept", ylabel="recall on labelled scans", xlim=(0, 1)
    )
    against.legend(frameon=False, fontsize=8, loc="lower right")
    for axes in (over, against):
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
    return figure


def _outcome(chosen: Outcome, rule: str) -> str:
    return (
        f"threshold {chosen.threshold:.4f} ({rule}): keeps {100 * chosen.recall:.1f} % of labelled "
        f"scans and {100 * chosen.share_kept:.1f} % of all"
    )
