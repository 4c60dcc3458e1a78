"""Did c or s move since the data were another version? Compares a prior with the one before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from priorwise.pu.intervals import Interval
from priorwise.tracking.search import RunFacts

#: a change of so many standard errors is reported
FAR = 3.0
#: half width of a 95 % interval, in standard errors
HALF_WIDTH = 1.96
#: units that intervals are drawn by; the first one that a run has is used
UNITS = ("dataset", "row")


@dataclass(frozen=True)
class CurrentRates:
    """The rates of the run at hand.

    Attributes
    ----------
    estimator : str
        Which estimator gave c.
    c : float
    c_interval : Interval
        95 % interval of c.
    unit : str
        What the interval was drawn by: `row` or `dataset`.
    n_rows, n_labelled : int
        Rows and labelled rows of this polarity in the training table.
    s_interval : Interval, optional
        95 % interval of s, drawn by the same unit.
    """

    estimator: str
    c: float
    c_interval: Interval
    unit: str
    n_rows: int
    n_labelled: int
    s_interval: Interval | None = None

    @property
    def s(self) -> float:
        """Labelled fraction of the training table."""
        return self.n_labelled / self.n_rows

    @property
    def s_error(self) -> float:
        """Standard error of s, from its interval, but at least that of binomial counts."""
        drawn = _error(self.s_interval) if self.s_interval else 0.0
        return max(drawn, math.sqrt(self.s * (1 - self.s) / self.n_rows))


@dataclass(frozen=True)
class Drift:
    """Change of c and s since an earlier run on other data.

    Attributes
    ----------
    run_id : str
        The earlier run.
    polarity : str
    c, s : tuple of float
        Before and now.
    c_z, s_z : float
        The change in standard errors of a difference; nan if the earlier run has no interval.
    """

    run_id: str
    polarity: str
    c: tuple[float, float]
    s: tuple[float, float]
    c_z: float
    s_z: float

    def metrics(self) -> dict[str, float]:
        """As metrics of a run: changes (now less before) and their z-values."""
        values = {
            "drift.c": self.c[1] - self.c[0],
            "drift.s": self.s[1] - self.s[0],
            "drift.c.z": self.c_z,
            "drift.s.z": self.s_z,
        }
        return {name: value for name, value in values.items() if math.isfinite(value)}

    def warning(self) -> str:
        """One line if c or s moved further than chance explains; empty otherwise."""
        moved = [
            f"{name} was {before:.4f} and is {now:.4f} (z {z:+.1f})"
            for name, (before, now), z in (("c", self.c, self.c_z), ("s", self.s, self.s_z))
            if abs(z) > FAR
        ]
        if not moved:
            return ""
        return (
            f"{self.polarity} mode: {' and '.join(moved)} since run {self.run_id}, "
            "which was on other data"
        )


def drift(
    current: CurrentRates, previous: Sequence[RunFacts], polarity: str, digest: str
) -> Drift | None:
    """Compare with the newest complete `estimate_prior` run on another training table.

    c of the earlier run is that of the same estimator, which every run logs. Its interval is used
    if the run logged one for this estimator; if not, this run's interval stands for both.

    Parameters
    ----------
    current : CurrentRates
    previous : sequence of RunFacts
        Runs of `estimate_prior`, in any order (`History.of_phase`).
    polarity : str
        positive or negative.
    digest : str
        Content digest of the training table at hand.

    Returns
    -------
    Drift or None
        None if there is no such run.
    """
    fit = [facts for facts in previous if _comparable(facts, current.estimator, polarity, digest)]
    if not fit:
        return None
    before = max(fit, key=lambda facts: (facts.age, facts.run_id))
    c, s = _c(before, current.estimator), before.metrics["s"]
    now = _error(current.c_interval)
    then = _error_before(before, current, "c")
    c_error = math.hypot(now, now if math.isnan(then) else then)
    s_error = math.hypot(current.s_error, _error_before(before, current, "s"))
    return Drift(
        run_id=before.run_id,
        polarity=polarity,
        c=(c, current.c),
        s=(s, current.s),
        c_z=_z(current.c - c, c_error),
        s_z=_z(current.s - s, s_error),
    )


def _comparable(facts: RunFacts, estimator: str, polarity: str, digest: str) -> bool:
    """Whether a run is complete, of this polarity, on other data, and has both rates."""
    return (
        facts.complete
        and not facts.deleted
        and facts.params.get("contract.phase") == "estimate_prior"
        and facts.params.get("contract.polarity") == polarity
        and facts.params.get("contract.data.digest", digest) != digest
        and math.isfinite(_c(facts, estimator))
        and math.isfinite(facts.metrics.get("s", math.nan))
    )


def _c(facts: RunFacts, estimator: str) -> float:
    """The estimator's c on an earlier run; nan without it."""
    return facts.metrics.get(f"c.{estimator}", math.nan)


def _error_before(facts: RunFacts, current: CurrentRates, name: str) -> float:
    """Standard error of the earlier c or s, by the same unit if there is one."""
    for unit in sorted(UNITS, key=lambda unit: unit != current.unit):
        error = _error_of(facts, f"{name}.{current.estimator}.{unit}")
        if math.isfinite(error):
            return error
    # s is the same whichever estimator gave c
    chosen = name == "s" or facts.params.get("cfg.estimator") == current.estimator
    return _error_of(facts, name) if chosen else math.nan


def _error_of(facts: RunFacts, name: str) -> float:
    low, high = (facts.metrics.get(f"{name}.{end}", math.nan) for end in ("low", "high"))
    return _error(Interval(low, high))


def _error(interval: Interval) -> float:
    return (interval.high - interval.low) / (2 * HALF_WIDTH)


def _z(change: float, error: float) -> float:
    """Change in standard errors; nan if unknown, 0 for no change at all."""
    if change == 0:
        return 0.0
    return change / error if error > 0 else math.nan
