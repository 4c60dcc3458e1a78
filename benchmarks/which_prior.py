"""The figure of the README's "Which prior, which scenario?", from the rows of benchmarks.nnpu.

python -m benchmarks.which_prior [--rows outputs/bench_nnpu_rows.csv]
                                 [--out docs/which_prior.png]
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.jobs import NEGATIVE, POSITIVE, SETTINGS
from benchmarks.nnpu import RECIPES

RECOMMENDED, TRUE_PRIOR, PUBLISHED = list(RECIPES)[:3]
MODES = {POSITIVE: "positive mode", NEGATIVE: "negative mode"}
#: line of the benchmark -> words and colour
ESTIMATES = {PUBLISHED: ("e1, as published", "C1"), RECOMMENDED: ("median, recommended", "C0")}
OUTCOMES = {
    PUBLISHED: ("published: e1, published risk, val_recall", "C1"),
    RECOMMENDED: ("recommended: median, censoring, proxy_f1", "C0"),
    TRUE_PRIOR: ("the true prior, otherwise as recommended", "0.5"),
}


def draw(rows: pd.DataFrame) -> Figure:
    """Estimated priors on the left, what they lead to on the right; one dot per seed."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    scatter = np.random.default_rng(0)

    def dots(axes, place, values, words, colour, first):
        spread = place + scatter.uniform(-0.08, 0.08, len(values))
        label = words if first else None
        axes.plot(spread, values, "o", ms=4, alpha=0.7, color=colour, label=label)

    for i, mode in enumerate(MODES):
        of_mode = rows[rows["what"] == f"test, {mode}"]
        for k, (line, (words, colour)) in enumerate(ESTIMATES.items()):
            pi = of_mode.loc[of_mode["line"] == line, "pi"]
            dots(left, i + 0.35 * k - 0.175, pi, words, colour, i == 0)
        truth = {"color": "black", "ls": "--", "label": "truth" if i == 0 else None}
        left.plot([i - 0.4, i + 0.4], [SETTINGS[mode].pi] * 2, **truth)
        for k, (line, (words, colour)) in enumerate(OUTCOMES.items()):
            accuracy = of_mode.loc[of_mode["line"] == line, "accuracy"]
            dots(right, i + 0.28 * (k - 1), accuracy, words, colour, i == 0)
    left.set(title="Which prior: pi by estimator", ylabel="class prior pi (fraction of all rows)")
    right.set(title="Which recipe: accuracy on test rows", ylabel="accuracy (fraction of rows)")
    for axes in (left, right):
        axes.set_xticks(range(len(MODES)), MODES.values())
        axes.set_xlabel("MNIST even/odd with the guide's pi and c; one dot per seed")
        axes.grid(alpha=0.3, axis="y")
        axes.legend(frameon=False, fontsize="small")
    return figure


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="outputs/bench_nnpu_rows.csv", help="of benchmarks.nnpu")
    parser.add_argument("--out", default="docs/which_prior.png", help="PNG file")
    given = parser.parse_args()
    Path(given.out).parent.mkdir(parents=True, exist_ok=True)
    draw(pd.read_csv(given.rows)).savefig(given.out, dpi=110)


if __name__ == "__main__":
    main()
