"""Reliability curves: whether of ten rows with a score of .7 seven are labelled."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from priorwise.pu.calibration import Reliability

#: this curve stands out: the scores as the model gives them
RAW = "raw"


def reliability_curves(curves: Mapping[str, Reliability], title: str) -> Figure:
    """Labelled fraction against mean score, one curve per calibrator, with the rows behind them.

    Parameters
    ----------
    curves : mapping of str -> Reliability
        By name of the calibrator; `raw` for the scores as they are.
    title : str
    """
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color="0.6", ls=":", label="perfectly calibrated")
    for i, (name, curve) in enumerate(curves.items()):
        colour = "black" if name == RAW else f"C{i}"
        x, y, rows = curve.mean_score, curve.labelled_rate, curve.rows
        # Wald's interval is enough to see which points can be believed
        error = 1.96 * np.sqrt(np.clip(y * (1 - y), 0, None) / rows)
        above.errorbar(
            x,
            y,
            yerr=error if len(curves) == 1 else None,
            color=colour,
            marker="o",
            ms=4,
            lw=2 if name == RAW else 1.2,
            label=f"{name}: ECE {curve.ece:.3f}",
        )
        below.plot(x, rows, color=colour, marker="o", ms=3, lw=1)
    above.set(
        title=f"{title}\n{_summary(list(curves), [c.ece for c in curves.values()])}",
        ylabel="labelled fraction of the bin",
        xlim=(0, 1),
        ylim=(-0.02, 1.02),
    )
    above.grid(alpha=0.3)
    above.legend(frameon=False, loc="upper left")
    below.set(xlabel="mean score of the bin, estimate of P(s=1 | x)", ylabel="rows")
    below.set_ylim(bottom=0)
    below.grid(alpha=0.3)
    return figure


def _summary(names: Sequence[str], eces: Sequence[float]) -> str:
    """ECE of the raw scores and of the best calibrator."""
    if not names:
        return "no scores"
    least = int(np.argmin(eces))
    first = f"ECE {eces[0]:.3f} ({names[0]})"
    return first if least == 0 else f"{first}, {eces[least]:.3f} ({names[least]})"
