"""Power and false alarms of the SCAR check on simulated tables: `python -m benchmarks.scar`.

Every table has 2,000 rows in 8 groups of 250. The class priors of the groups are .20, .27, ..., .70
(evenly spaced), in random order; y of a row is drawn with its group's prior, s with its group's c
if y = 1. The score is standard normal for negatives and shifted for positives, so that the area
under the ROC curve is .98 (MNIST even/odd reaches .98) or .95. c is at most .6:

    same, c .6 / c .3   the same c in all groups: whatever is flagged is a false alarm
    half                c = .3 in four groups, .6 in the others (which ones: random, as below)
    one high            .6 in one group, .3 in seven
    one low             .3 in one group, .6 in seven
    gradient            evenly spaced from .3 to .6

Prints one table (share of tables flagged at the nominal level .05, with Clopper-Pearson's 95 %
interval) and writes it as CSV.

    python -m benchmarks.scar [--tables 200] [--seed 20] [--out outputs/scar.csv]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import beta, norm

from priorwise.pu.scar import scar_check

ROWS, GROUPS = 2000, 8
PRIORS = np.linspace(0.2, 0.7, GROUPS)
HIGH, LOW = 0.6, 0.3  # c, ratio 2
AUCS = (0.98, 0.95)
SHAPES = {
    "same, c .6": np.full(GROUPS, HIGH),
    "same, c .3": np.full(GROUPS, LOW),
    "half": np.repeat([LOW, HIGH], GROUPS // 2),
    "one high": np.r_[HIGH, np.full(GROUPS - 1, LOW)],
    "one low": np.r_[LOW, np.full(GROUPS - 1, HIGH)],
    "gradient": np.linspace(LOW, HIGH, GROUPS),
}


def simulated(
    rng: np.random.Generator, c: np.ndarray, auc: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, s and group of one table; `c` is dealt to the groups at random."""
    group = np.repeat(np.arange(GROUPS), ROWS // GROUPS)
    y = rng.random(ROWS) < rng.permutation(PRIORS)[group]
    s = y & (rng.random(ROWS) < rng.permutation(c)[group])
    shift = np.sqrt(2) * norm.ppf(auc)  # AUC of two unit normals = Phi(shift / sqrt 2)
    return rng.normal(size=ROWS) + shift * y, s, group.astype(str)


def flagged_share(shape: str, auc: float, tables: int, seed: int) -> dict[str, object]:
    """One line of the table."""
    line = list(SHAPES).index(shape) + len(SHAPES) * AUCS.index(auc)
    rng = np.random.default_rng([seed, line])
    flagged = sum(scar_check(*simulated(rng, SHAPES[shape], auc)).violated for _ in range(tables))
    return {
        "rate": "false alarm" if shape.startswith("same") else "power",
        "shape": shape,
        "auc": auc,
        "tables": tables,
        "flagged": flagged / tables,
        "low": beta.ppf(0.025, flagged, tables - flagged + 1) if flagged else 0.0,
        "high": beta.ppf(0.975, flagged + 1, tables - flagged) if flagged < tables else 1.0,
        "wanted": "<= .05" if shape.startswith("same") else ">= .90",
    }


def measure(tables: int, seed: int) -> pd.DataFrame:
    """All shapes at all areas under the curve."""
    return pd.DataFrame(
        [flagged_share(shape, auc, tables, seed) for auc in AUCS for shape in SHAPES]
    )


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=200, help="simulated tables per line")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("outputs/scar.csv"), help="CSV file")
    arguments = parser.parse_args()
    table = measure(arguments.tables, arguments.seed)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out, index=False)
    sys.stdout.write(table.to_string(index=False, float_format=lambda v: f"{v:.3f}") + "\n")


if __name__ == "__main__":
    main()
