"""The table that `main` prints: one line per phase and polarity."""

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from priorwise.phases.checks import polarity_list
from priorwise.phases.desk import Plan
from priorwise.tracking.search import RunFacts

COLUMNS = ("phase", "polarity", "run id", "c", "s", "pi", "truth", "recall", "seconds")


@dataclass
class PhaseResult:
    """One phase that was run or reused.

    Attributes
    ----------
    scenario : str
        For which scenario it was run first.
    truth : dict of polarity -> str
        What the simulation knows: true c and pi, or accuracy and AUC against y.
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
        metrics = result.facts.metrics
        for mode in polarity_list(result.plan.polarity):
            lines.append(
                {
                    "phase": f"{result.label} for {result.scenario}" if twice else result.label,
                    "polarity": mode,
                    "run id": result.facts.run_id,
                    **{
                        n: metrics.get(f"prior.{mode}.{n}", metrics.get(n))
                        for n in ("c", "s", "pi")
                    },
                    "truth": result.truth.get(mode, ""),
                    "recall": metrics.get(f"recall.{mode}", metrics.get("recall")),
                    "seconds": "reused" if result.reused else f"{result.seconds:.0f}",
                }
            )
    return pd.DataFrame(lines, columns=list(COLUMNS))
