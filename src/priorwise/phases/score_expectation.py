"""What the evaluation of a model lets expect of a scoring, and where that does not hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from priorwise.phases.desk import Desk
from priorwise.spectra.score.summary import Counts
from priorwise.tracking.models import ModelFacts

#: a file of so many scored scans is doubted if the share kept is so far from the one expected
MANY_SCANS, FAR = 50, 0.3


@dataclass(frozen=True)
class Expectation:
    """Shares seen on the test set, by polarity; empty if the model was not judged.

    Attributes
    ----------
    recall : dict of polarity -> float
        Share of labelled scans that were kept.
    share_kept : dict of polarity -> float
        Share of all scans that were kept.
    """

    recall: dict[str, float] = field(default_factory=dict)
    share_kept: dict[str, float] = field(default_factory=dict)

    @property
    def caution(self) -> str:
        """What the numbers hold for; empty without numbers."""
        if not self.recall:
            return ""
        shares = ", ".join(f"{mode} {100 * v:.1f} %" for mode, v in sorted(self.recall.items()))
        return (
            f"of the labelled scans of its test set this model kept {shares}; expect the same only "
            "of data like those it was judged on"
        )

    def doubt(self, counts: Counts) -> str:
        """Why an input is unlike the data the model was judged on; empty if it is not."""
        known = [
            self.share_kept[mode] * n
            for mode, n in counts.scored.items()
            if mode in self.share_kept
        ]
        if counts.n_scorable < MANY_SCANS or len(known) < len(counts.scored):
            return ""
        wanted = sum(known) / counts.n_scorable
        if abs(counts.share_kept - wanted) <= FAR:
            return ""
        return (
            f"{100 * counts.share_kept:.1f} % of its scans are kept, {100 * wanted:.1f} % were on "
            "the model's test set: this file is unlike the data the model was judged on"
        )


def expectation(
    facts: ModelFacts, modes: Sequence[str], threshold: float, desk: Desk
) -> Expectation:
    """Shares at the stored threshold: the model's own newest evaluation, else its choice."""
    metrics = desk.track.models.get(facts.model_id).metrics or []
    # an evaluation at another threshold is one of the same model, too
    used = {metric.run_id: metric.value for metric in metrics if metric.key == "threshold"}
    recalls = [metric for metric in metrics if metric.key == "recall"]
    measured = [m for m in recalls if abs(used.get(m.run_id, threshold) - threshold) < 1e-9]
    if measured:
        newest = max(measured, key=lambda metric: metric.timestamp).run_id
        return _shares({m.key: m.value for m in metrics if m.run_id == newest}, modes)
    chosen = desk.track.history.run(facts.run_id) if facts.run_id else None
    if chosen is None or chosen.params.get("contract.phase") != "select_threshold":
        return Expectation()
    return _shares(chosen.metrics, modes)


def _shares(metrics: Mapping[str, float], modes: Sequence[str]) -> Expectation:
    def by_mode(name: str) -> dict[str, float]:
        # of a model of one polarity, the whole is that polarity
        whole = {mode: metrics[name] for mode in modes if len(modes) == 1 and name in metrics}
        return whole | {
            mode: metrics[f"{name}.{mode}"] for mode in modes if f"{name}.{mode}" in metrics
        }

    return Expectation(by_mode("recall"), by_mode("share_kept"))
