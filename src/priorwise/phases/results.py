"""The table that `main` prints: one line per phase and polarity."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from priorwise.phases.checks import polarity_list
from priorwise.phases.desk import Plan
from priorwise.tracking.search import RunFacts

RATES = ("c", "s", "pi")
#: column -> metric of select_threshold (on Test Set 2) and of evaluate (on Test Set 3)
AT_THRESHOLD = {"threshold": "threshold", "kept": "share_kept", "precision": "precision"}
COLUMNS = (
    *("phase", "polarity", "run id", *RATES, "truth", "recall", *AT_THRESHOLD),
    "seconds",
)


@dataclass
class PhaseResult:
    """One phase that was run or reused.

    Attributes
    ----------
    scenario : str
        For which scenario it was run first.
    truth : dict of polarity -> str
        What the simulation knows: true c and pi; accuracy and AUC against y; recall and precision
        at the threshold.
    """

    plan: Plan
    facts: RunFacts
    seconds: float
    reused: bool
    scenario: str = ""
    truth: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Phase, with the scenario or estimator that tells it from another one like it."""
        return " ".join(filter(None, (self.plan.phase, self.plan.variant)))


def results_table(results: list[PhaseResult]) -> pd.DataFrame:
    """Rows of the results, in the order of the work."""
    lines = []
    labels = Counter((result.label, result.plan.polarity) for result in results)
    for result in results:
        twice = labels[result.label, result.plan.polarity] > 1
        for mode in polarity_list(result.plan.polarity):
            known = partial(_of_polarity, result.facts.metrics, mode)
            lines.append(
                {
                    "phase": f"{result.label} for {result.scenario}" if twice else result.label,
                    "polarity": mode,
                    "run id": result.facts.run_id,
                    **{name: known(name, f"prior.{mode}.{name}") for name in RATES},
                    "truth": result.truth.get(mode, ""),
                    "recall": known("recall"),
                    **{column: known(name) for column, name in AT_THRESHOLD.items()},
                    "seconds": "reused" if result.reused else f"{result.seconds:.0f}",
                }
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _of_polarity(metrics: Mapping[str, float], mode: str, name: str, key: str = "") -> float | None:
    """A metric of one polarity; that of the whole run where there is no other."""
    return metrics.get(key or f"{name}.{mode}", metrics.get(name))
