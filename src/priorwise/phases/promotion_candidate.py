"""What is known of a model that is to become champion, of every pipeline: records, no server."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from priorwise.phases.candidates import Source
from priorwise.phases.fitness import ROUNDING
from priorwise.phases.gates import Finding


@dataclass(frozen=True)
class Interval:
    """A value and its interval; nan where it is not known."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether value and both ends are there."""
        return all(math.isfinite(v) for v in (self.value, self.low, self.high))

    def __str__(self) -> str:
        return f"{self.value:.4f} ({self.low:.4f} to {self.high:.4f})"


@dataclass(frozen=True)
class Evaluation:
    """What a run found of one model on one table.

    Attributes
    ----------
    run : Source or None
        The run as it is now; None if it is gone.
    model_id : str
        Which model the run says that it evaluated.
    digest, table : str
        Of the table, and its address.
    when : int
        Milliseconds since the epoch.
    metrics : mapping
        Metrics of the logged model that are bound to this table.
    """

    run: Source | None
    model_id: str
    digest: str
    table: str
    when: int
    metrics: Mapping[str, float]

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.run.run_id if self.run else ""

    def value(self, name: str) -> float:
        """A metric; nan if there is none."""
        return self.metrics.get(name, math.nan)

    def interval(self, name: str, part: str = "") -> Interval:
        """A metric with its interval, of one part of the rows or over all."""
        key = f"{name}.{part}" if part else name
        return Interval(self.value(key), self.value(f"{key}.low"), self.value(f"{key}.high"))


@dataclass(frozen=True, kw_only=True)
class Candidate(ABC):
    """A model, where it comes from, and how it was judged; a pipeline adds what is its own.

    Attributes
    ----------
    called : str
        How details call it, such as `version 3`.
    address : str
        What it is loaded by.
    schema, threshold, rule
        As its description says.
    logged_by, training : Source or None
        The run that logged it (the training itself, or one that chose its threshold), and the
        training; None if gone.
    inputs : mapping of run id -> digest
        Of the training table among the dataset inputs of every run of the lineage.
    table : Finding
        Whether the training table, read again, is still the same.
    evaluations : sequence of Evaluation
        Newest first.
    trained_on : str
        The training table in words.
    """

    #: phase of the runs that evaluate such models
    evaluated_by: ClassVar[str]

    called: str
    address: str
    model_id: str
    sha256: str = ""
    schema: str = ""
    threshold: float = 0.0
    rule: str = ""
    loaded: Finding = field(default_factory=lambda: Finding(False, "was not loaded"))
    training: Source | None = None
    logged_by: Source | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    table: Finding = field(default_factory=lambda: Finding(True, ""))
    evaluations: Sequence[Evaluation] = ()
    trained_on: str = ""

    def sound(self) -> list[Evaluation]:
        """The evaluations that count, newest first."""
        return [e for e in self.evaluations if not any(evaluation_reasons(self, e))]

    @abstractmethod
    def flaws(self, evaluation: Evaluation) -> Iterator[str]:
        """Why an evaluation of a complete run does not count in this pipeline."""

    @abstractmethod
    def summary(self, evaluation: Evaluation) -> str:
        """What an evaluation found, in a few words."""

    @abstractmethod
    def evaluate_on(self, table: str) -> str:
        """Parameters of the command that evaluates a model on a table."""


C = TypeVar("C", bound=Candidate)


def evaluation_reasons(candidate: Candidate, evaluation: Evaluation) -> Iterator[str]:
    """Why an evaluation does not count; nothing if it does."""
    run = evaluation.run
    if run is None:
        yield "its run is gone"
        return
    if run.deleted:
        yield f"run {run.run_id} is deleted"
    if not run.complete:
        yield f"run {run.run_id} is not complete (status {run.status})"
    if run.phase != candidate.evaluated_by:
        yield f"run {run.run_id} is of phase {run.phase or 'unknown'}"
    if run.digest != evaluation.digest:
        yield f"run {run.run_id} read another table than its metrics say"
    if evaluation.model_id != candidate.model_id:
        yield f"run {run.run_id} is of model {evaluation.model_id or 'unknown'}"
    threshold = evaluation.value("threshold")
    if not abs(threshold - candidate.threshold) <= ROUNDING:  # true for nan, too
        yield (
            f"run {run.run_id} is at threshold {threshold:.4f}, the stored one is "
            f"{candidate.threshold:.4f}"
        )
    for flaw in candidate.flaws(evaluation):
        yield f"run {run.run_id} {flaw}"


def judged_by(
    candidate: Candidate, champion: Candidate | None
) -> tuple[Evaluation | None, Evaluation | None]:
    """The evaluations to compare: on one table if there is one that both were evaluated on.

    Returns
    -------
    (Evaluation or None, Evaluation or None)
        Of the candidate and of the champion; without a common table the candidate's newest one.
    """
    mine = candidate.sound()
    theirs = {e.digest: e for e in reversed(champion.sound())} if champion else {}
    for evaluation in mine:
        if evaluation.digest in theirs:
            return evaluation, theirs[evaluation.digest]
    return (mine[0] if mine else None), None
