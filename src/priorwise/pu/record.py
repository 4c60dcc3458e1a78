"""The prior record: what phase 2 hands to phase 3."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from priorwise.pu.intervals import PriorIntervals
from priorwise.pu.priors import VARIANCE_ONLY, Estimate

#: the fit of an estimate is compared with these by every run
COMPARED = ("e1", "median")
#: data sets from which the interval by data set is the one to trust
ENOUGH_DATASETS = 10


@dataclass(frozen=True)
class PriorRecord:
    """c, s, pi, alpha of one polarity, with where they come from.

    Attributes
    ----------
    estimator : str
        Which of `estimates` is the record's.
    estimates : mapping of str -> Estimate
        Every estimator's c, with the s of the training table.
    intervals : mapping of str -> mapping of str -> PriorIntervals
        Per unit (`row`, `dataset`) and estimator; at least `row` for `estimator`.
    n_datasets : int
        Data sets of Test Set 1 with labelled rows, or of the training table, whichever are fewer.
    polarity : str
    data_digest : str
        Content digest of the training table that s was counted on.
    bce_run, bce_checkpoint : str
        Run id and sha256 of the checkpoint whose scores gave c.
    n_labelled : int
        Labelled rows of Test Set 1 behind c.
    s_test : float
        Labelled fraction of Test Set 1.
    """

    estimator: str
    estimates: Mapping[str, Estimate]
    intervals: Mapping[str, Mapping[str, PriorIntervals]]
    n_datasets: int
    polarity: str
    data_digest: str
    bce_run: str
    bce_checkpoint: str
    n_labelled: int
    s_test: float

    @property
    def chosen(self) -> Estimate:
        """The estimate that enters phase 3."""
        return self.estimates[self.estimator]

    @property
    def unit(self) -> str:
        """What the record's interval was drawn by: `dataset` where there are enough of them."""
        known = "dataset" in self.intervals and self.estimator in self.intervals["dataset"]
        return "dataset" if known and self.n_datasets >= ENOUGH_DATASETS else "row"

    @property
    def interval(self) -> PriorIntervals:
        """The record's interval."""
        return self.intervals[self.unit][self.estimator]

    @property
    def interval_label(self) -> str:
        """What the interval can be trusted for."""
        drawn = "data sets" if self.unit == "dataset" else "rows"
        only = ", variance only: not its bias" if self.estimator in VARIANCE_ONLY else ""
        return f"95 % bootstrap of {drawn}{only}"

    def disagreement(self) -> str:
        """One line if e1 lies outside the interval of the median; empty otherwise."""
        if not all(name in self.estimates for name in COMPARED):
            return ""
        known = self.intervals[self.unit].get("median")
        if known is None:
            return ""
        low, high = known.pi
        e1, middle = (self.estimates[name].pi for name in COMPARED)
        if low <= e1 <= high:
            return ""
        return (
            f"e1 gives pi {e1:.4f} ({self.polarity}), the median of the mixture estimators "
            f"{middle:.4f} with interval {low:.4f} to {high:.4f}: they differ by more than chance; "
            "e1 is biased where classes overlap"
        )

    def metrics(self) -> dict[str, float]:
        """As metrics of a run: the record, every interval, every estimator."""
        values = {name: getattr(self.chosen, name) for name in ("c", "s", "pi", "alpha")}
        for name, ends in self.interval._asdict().items():
            values[f"{name}.low"], values[f"{name}.high"] = ends
        for unit, known in self.intervals.items():
            for estimator, intervals in known.items():
                for name in ("c", "s", "pi", "alpha"):
                    low, high = getattr(intervals, name)
                    values[f"{name}.{estimator}.{unit}.low"] = low
                    values[f"{name}.{estimator}.{unit}.high"] = high
        for estimator, estimate in self.estimates.items():
            for name in ("c", "pi", "alpha"):
                values[f"{name}.{estimator}"] = getattr(estimate, name)
        values |= {"s_test": self.s_test, "n_labelled": float(self.n_labelled)}
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def as_json(self) -> dict[str, object]:
        """As the artifact prior.json."""
        return {
            **{name: getattr(self.chosen, name) for name in ("c", "s", "pi", "alpha")},
            "intervals": {k: list(v) for k, v in self.interval._asdict().items()},
            "interval_of": self.interval_label,
            "estimator": self.estimator,
            "polarity": self.polarity,
            "data_digest": self.data_digest,
            "bce_run": self.bce_run,
            "bce_checkpoint": self.bce_checkpoint,
            "n_labelled": self.n_labelled,
            "n_datasets": self.n_datasets,
            "s_test": self.s_test,
            "estimates": {
                name: {key: getattr(e, key) for key in ("c", "pi", "alpha")}
                for name, e in self.estimates.items()
                if math.isfinite(e.pi)
            },
        }
