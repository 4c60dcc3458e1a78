"""What simulated data know and real data do not: true c and pi, and how models judge true classes.

Only the report of `main` reads this, after all training is done.
"""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from priorwise.errors import TrackingFailure
from priorwise.phases.checks import polarity_list
from priorwise.phases.desk import Desk, say
from priorwise.phases.results import PhaseResult
from priorwise.pu.priors import MIXTURES
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.facts import inspect
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.scoring import score_rows
from priorwise.spectra.simulate import MANIFEST, read_truth
from priorwise.tracking.search import History

JUDGED_ON = "test_3/test_data"
#: scores of rows, and their classes
Scored = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]
#: every prior run logs them all
JUDGED_ESTIMATORS = ("e1", *MIXTURES, "median")


def add_truth(results: list[PhaseResult], folder: str, test_3: str, desk: Desk) -> dict[str, float]:
    """Fill in the truth of each result, if the data are simulated.

    Returns
    -------
    dict
        Metrics `truth.<phase>.<polarity>.<accuracy or auc>`, for an evaluation `...<recall or
        precision>` at its threshold, and `truth.pi_error.<estimator>.<polarity>`; empty for real
        data.
    """
    manifest = Path(folder) / MANIFEST
    if not manifest.exists() or test_3 != "auto" or not Path(folder, JUDGED_ON).exists():
        return {}
    true = json.loads(manifest.read_text())["true"]
    say("\ncomparing with the simulation's truth (never seen by a trainer)")
    metrics: dict[str, float] = {}
    judge = Judge(folder, desk.track.history)
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
                continue
            if result.plan.phase == "select_threshold":
                continue  # what it chose is judged with the evaluation
            if result.plan.phase == "evaluate":
                training = result.plan.upstream["upstream.training"]
                judged = judge.at(training, mode, result.facts.metrics["threshold"])
                result.truth[mode] = "recall {recall:.4f} precision {precision:.4f}".format(
                    **judged
                )
            else:
                judged = judge.whole(result.facts.run_id, mode)
                result.truth[mode] = "acc {accuracy:.4f} AUC {auc:.4f}".format(**judged)
            name = ".".join(("truth", *result.label.split(), mode))
            if any(key.startswith(f"{name}.") for key in metrics):
                name = f"{name}.{result.scenario}"  # the same phase, done for another one, too
            metrics.update({f"{name}.{key}": value for key, value in judged.items()})
    return metrics


class Judge:
    """Compares models with y on Test Set 3; scores each of them once.

    Parameters
    ----------
    folder : str
        Of the simulated tables.
    history : History
    """

    def __init__(self, folder: str, history: History) -> None:
        self._folder = folder
        self._history = history
        self._scored: dict[tuple[str, str], Scored] = {}

    def whole(self, training: str, mode: str) -> dict[str, float]:
        """Accuracy at 0.5 and AUC of the model of a training."""
        score, y = self._scores(training, mode)
        return {
            "accuracy": float(np.mean((score >= 0.5) == y)),
            "auc": float(roc_auc_score(y, score)),
        }

    def at(self, training: str, mode: str, threshold: float) -> dict[str, float]:
        """Recall and precision at a threshold; a precision of nothing kept is 0."""
        score, y = self._scores(training, mode)
        kept = score >= threshold
        found = float((kept & y).sum())
        return {"recall": found / y.sum(), "precision": found / max(kept.sum(), 1)}

    def _scores(self, training: str, mode: str) -> Scored:
        if (training, mode) not in self._scored:
            pinned, _ = inspect(self._folder, JUDGED_ON)
            rows = load_rows(pinned, mode)
            y = read_truth(self._folder, JUDGED_ON)["y"].to_numpy()[rows.row.numpy()] == 1
            facts = self._history.run(training)
            if facts is None:
                raise TrackingFailure(f"run {training} is gone")
            network = load_network(self._history.checkpoint(facts))
            self._scored[training, mode] = score_rows(network, rows), y
        return self._scored[training, mode]
