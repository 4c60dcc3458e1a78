"""The records a resolution works on: what is known of runs, what is asked, what came out."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

RUN_ID = re.compile(r"[0-9a-f]{32}\Z")
RECORD = ("c", "s", "pi")


@dataclass(frozen=True)
class Source:
    """What is needed of any run before its results may be used.

    `phase`, `polarity`, `digest`, `version`, `schema` and `turn` are the immutable params of the
    run; `tags` its tags of today; `changed` what had changed when it was resumed.
    """

    run_id: str
    name: str
    experiment_id: str
    start_time: int
    status: str
    deleted: bool
    complete: bool
    phase: str
    polarity: str
    digest: str
    version: int
    schema: str
    turn: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    checkpoint_recorded: str | None = None
    checkpoint_now: str | None = None
    changed: tuple[str, ...] = ()

    @property
    def age(self) -> tuple[int, int]:
        """What a newer run of the experiment has more of; the clock decides only between equals."""
        return self.turn, self.start_time


@dataclass(frozen=True)
class PriorCandidate:
    """An `estimate_prior` run: its record, and the BCE run it came from (None if gone)."""

    run: Source
    c: float
    s: float
    pi: float
    history: Mapping[str, int]  # times each value was written
    bce: Source | None
    bce_checkpoint: str  # sha256 recorded when the prior was estimated
    estimator: str = ""
    n_labelled: float = math.nan
    score_low: float = math.nan
    score_high: float = math.nan
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # of c and pi


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes
    ----------
    spec : str
        `auto`, a run id, or (priors only) a number.
    polarity, digest, schema : str
        What the training table is.
    s_train : float
        Labelled fraction of the training table: a number takes it as s, a run must agree with it.
    """

    spec: str
    polarity: str
    digest: str
    schema: str
    experiment_id: str
    version: int = 0
    s_train: float = math.nan
    override: bool = False


@dataclass(frozen=True)
class Refused:
    """A candidate that was not used, and why."""

    run_id: str
    name: str
    start_time: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Refusals:
    """Nothing could be chosen."""

    reason: str
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class ChosenRun:
    """The run to build on; `skipped` are unfit candidates, `warnings` what a user should see."""

    run: Source
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChosenPrior:
    """The prior to train with. `run_id` is empty, and no interval known, for a number."""

    polarity: str
    c: float
    s: float
    pi: float
    run_id: str = ""
    bce_run_id: str = ""
    estimator: str = ""
    overridden: bool = False
    skipped: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def described(self) -> dict[str, float | str]:
        """The prior as a model's description keeps it."""
        found: dict[str, float | str] = {
            "c": self.c,
            "s": self.s,
            "pi": self.pi,
            "run_id": self.run_id,
            "estimator": self.estimator,
        }
        for name, (low, high) in sorted(self.intervals.items()):
            found |= {f"{name}.low": low, f"{name}.high": high}
        return found
