"""Label frequency per data set: the picture behind the SCAR check."""

import numpy as np
from matplotlib.figure import Figure

from priorwise.pu.scar_result import ScarCheck

#: longest name of a data set beside the figure, in characters
LONGEST = 34


def label_frequencies(check: ScarCheck, title: str) -> Figure:
    """Label frequency c per data set with its interval, and the test between them.

    Parameters
    ----------
    check : ScarCheck
    title : str
    """
    # lowest c first; data sets that were not tested last
    groups = sorted(check.groups, key=lambda g: (not g.used, g.c if g.used else g.rows))
    figure = Figure(figsize=(7.2, 1.8 + 0.24 * max(len(groups), 3)), layout="constrained")
    axes = figure.subplots()
    tested = [(place, g) for place, g in enumerate(groups) if g.used]
    if tested:
        c, low, high = (np.array([getattr(g, n) for _, g in tested]) for n in ("c", "low", "high"))
        axes.errorbar(
            c,
            [place for place, _ in tested],
            xerr=[c - low, high - c],
            fmt="o",
            ms=5,
            lw=1.2,
            color="tab:blue",
            label="c with 95 % interval",
        )
        axes.axvline(check.c, color="tab:red", lw=1.2, label=f"all together: c = {check.c:.3f}")
        figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=8)
    for place, group in enumerate(groups):
        if not group.used:
            axes.text(0.01, place, "not tested", va="center", fontsize=8, color="0.4")
    # over the whole figure: beside long names the axes are narrow
    figure.suptitle(f"{title}\n{_result(check)}", fontsize=11)
    axes.set(
        xlabel="label frequency c = P(s=1 | y=1); n: rows of high score",
        xlim=(0, 1),
    )
    axes.set_yticks(range(len(groups)), [f"{shortened(g.group)} (n={g.rows:,})" for g in groups])
    axes.tick_params(axis="y", labelsize=8)
    axes.set_ylim(len(groups) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    return figure


def _result(check: ScarCheck) -> str:
    """The test in one line."""
    if check.reason:
        return f"not tested: {check.reason}"
    found = "differs between data sets" if check.violated else "no difference beyond chance"
    return f"{found}: chi-square {check.statistic:.1f}, {check.df} df, p = {check.p_value:.2g}"


def shortened(name: str) -> str:
    """A name that fits beside the figure; the middle is left out."""
    if len(name) <= LONGEST:
        return name
    half = (LONGEST - 3) // 2
    return f"{name[:half]}...{name[-half:]}"
