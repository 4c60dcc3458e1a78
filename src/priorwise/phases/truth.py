"""What simulated data know and real data do not: true c and pi, accuracy and AUC against y.

Only the report of `main` reads this, after all training is done.
"""

import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from priorwise.phases.checks import polarity_list
from priorwise.phases.desk import Desk, say
from priorwise.phases.results import PhaseResult
from priorwise.pu.priors import MIXTURES
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.facts import inspect
from priorwise.spectra.rows import load_rows
from priorwise.spectra.scoring import score_rows
from priorwise.spectra.simulate import MANIFEST, read_truth
from priorwise.tracking.search import History

JUDGED_ON = "test_3/test_data"
#: every prior run logs them all
JUDGED_ESTIMATORS = ("e1", *MIXTURES, "median")


def add_truth(results: list[PhaseResult], folder: str, test_3: str, desk: Desk) -> dict[str, float]:
    """Fill in the truth of each result, if the data are simulated.

    Returns
    -------
    dict
        Metrics `truth.<phase>.<polarity>.<accuracy or auc>` and
        `truth.pi_error.<estimator>.<polarity>`; empty for real data.
    """
    manifest = Path(folder) / MANIFEST
    if not manifest.exists() or test_3 != "auto":
        return {}
    true = json.loads(manifest.read_text())["true"]
    say("\ncomparing with the simulation's truth (never seen by a trainer)")
    metrics: dict[str, float] = {}
    for result in results:
        for mode in polarity_list(result.plan.polarity):
            if result.plan.phase == "estimate_prior":
                result.truth[mode] = f"c {true[mode]['c']:.4f} pi {true[mode]['pi']:.4f}"
                own = result.plan.config.estimator
                for name in dict.fromkeys([own, *JUDGED_ESTIMATORS]):
                    error = result.facts.metrics[f"pi.{name}"] - true[mode]["pi"]
                    key = f"truth.pi_error.{name}.{mode}"
                    # a run's own estimator counts; of the others the first run's
                    metrics[key] = error if name == own else metrics.get(key, error)
            else:
                judged = _judge(result, folder, mode, desk.track.history)
                result.truth[mode] = "acc {accuracy:.4f} AUC {auc:.4f}".format(**judged)
                name = ".".join(("truth", *result.label.split(), mode))
                if f"{name}.auc" in metrics:  # the same phase, trained for another scenario, too
                    name = f"{name}.{result.scenario}"
                metrics.update({f"{name}.{key}": value for key, value in judged.items()})
    return metrics


def _judge(result: PhaseResult, folder: str, mode: str, history: History) -> dict[str, float]:
    """Accuracy at 0.5 and AUC against y on Test Set 3."""
    pinned, _ = inspect(folder, JUDGED_ON)
    rows = load_rows(pinned, mode)
    y = read_truth(folder, JUDGED_ON)["y"].to_numpy()[rows.row.numpy()]
    score = score_rows(load_network(history.checkpoint(result.facts)), rows)
    return {
        "accuracy": float(np.mean((score >= 0.5) == (y == 1))),
        "auc": float(roc_auc_score(y, score)),
    }
