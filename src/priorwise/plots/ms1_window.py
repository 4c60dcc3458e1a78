"""The MS1 scan round a precursor: what the instrument isolated, and among which neighbours."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure


def ms1_window(
    peaks: pd.DataFrame,
    precursor_mz: float,
    isolation_width: float | None,
    title: str,
    reach: float = 3.0,
) -> Figure:
    """Peaks of an MS1 scan near a precursor, with the isolation band.

    Parameters
    ----------
    peaks : pandas.DataFrame
        Columns mz (Th) and intensity (square root of counts, as the network sees it). Peaks
        farther away than `reach` are not drawn.
    precursor_mz : float
        In Th.
    isolation_width : float or None
        Of the band round the precursor, in Th; None if unknown: then no band is drawn.
    title : str
    reach : float
        Th on either side.
    """
    mz = peaks["mz"].to_numpy(dtype=float)
    height = peaks["intensity"].to_numpy(dtype=float)
    near = np.abs(mz - precursor_mz) <= reach
    half = (isolation_width or 0) / 2
    isolated = near & (np.abs(mz - precursor_mz) <= half) & bool(isolation_width)

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    if isolation_width:
        axes.axvspan(
            precursor_mz - half,
            precursor_mz + half,
            color="tab:orange",
            alpha=0.2,
            lw=0,
            label=f"isolated, {isolation_width:g} Th",
        )
    axes.axvline(precursor_mz, color="tab:red", lw=1, ls=":", label=f"precursor {precursor_mz:.4f}")
    for chosen, colour in ((near & ~isolated, "0.45"), (isolated, "tab:blue")):
        axes.vlines(mz[chosen], 0, height[chosen], color=colour, lw=1.6)
    if not near.any():
        axes.text(0.5, 0.5, "no MS1 peak here", ha="center", va="center", transform=axes.transAxes)
    top = float(height[near].max(initial=0.0))
    # a name may hold dollar signs, which are no formulas here
    axes.set_title(title, fontsize=10, parse_math=False)
    axes.set(
        xlabel="m/z (Th)",
        ylabel="square root of intensity",
        xlim=(precursor_mz - reach, precursor_mz + reach),
        ylim=(0, 1.25 * top if top > 0 else 1.0),
    )
    # an offset written beside the axis is read by nobody
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.legend(frameon=False, loc="upper right", fontsize=9)
    return figure
