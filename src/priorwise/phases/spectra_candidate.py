"""What is known of a spectra model that is to become champion: plain records, no server."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from priorwise.phases.candidates import PriorCandidate, Source
from priorwise.phases.fitness import ROUNDING
from priorwise.phases.gates import Finding
from priorwise.spectra.schema import POLARITIES


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
class PriorUse:
    """The prior that a model was trained with, as its description keeps it.

    Attributes
    ----------
    pi : Interval
        Its ends are nan for a prior that was given as a number.
    run_id : str
        Of the estimate_prior run; empty for a number.
    found : PriorCandidate or None
        That run as it is now, with its BCE run; None if it is gone.
    """

    polarity: str
    c: float
    s: float
    pi: Interval
    run_id: str = ""
    estimator: str = ""
    found: PriorCandidate | None = None


@dataclass(frozen=True)
class Evaluation:
    """What an `evaluate` run found of one model on one table.

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

    def interval(self, name: str, mode: str = "") -> Interval:
        """A metric with its interval, of one polarity or over all."""
        key = f"{name}.{mode}" if mode else name
        return Interval(
            *(self.metrics.get(k, math.nan) for k in (key, f"{key}.low", f"{key}.high"))
        )


@dataclass(frozen=True)
class SpectraCandidate:
    """A model, where it comes from, and how it was judged.

    Attributes
    ----------
    called : str
        How details call it, such as `version 3`.
    address : str
        What it is loaded by.
    polarity, schema : str
        As its description says.
    logged_by, training : Source or None
        The run that logged it (select_threshold, or the training itself), and the training; None
        if gone.
    named_priors : mapping of polarity -> run id
        The prior runs by the immutable params of the training run.
    inputs : mapping of run id -> digest
        Of the training table among the dataset inputs of every run of the lineage.
    table : Finding
        Whether the training table, read again, is still the same.
    evaluations : sequence of Evaluation
        Newest first.
    trained_on : str
        The training table in words.
    """

    called: str
    address: str
    model_id: str
    sha256: str
    polarity: str
    schema: str
    threshold: float
    rule: str
    loaded: Finding
    training: Source | None = None
    logged_by: Source | None = None
    priors: tuple[PriorUse, ...] = ()
    named_priors: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    table: Finding = field(default_factory=lambda: Finding(True, ""))
    evaluations: Sequence[Evaluation] = ()
    trained_on: str = ""

    @property
    def modes(self) -> tuple[str, ...]:
        """The polarities that it knows."""
        return POLARITIES if self.polarity == "both" else (self.polarity,)

    def sound(self) -> list[Evaluation]:
        """The evaluations that count, newest first."""
        return [e for e in self.evaluations if not any(evaluation_reasons(self, e))]


def evaluation_reasons(candidate: SpectraCandidate, evaluation: Evaluation) -> Iterator[str]:
    """Why an evaluation does not count; nothing if it does."""
    run = evaluation.run
    if run is None:
        yield "its run is gone"
        return
    if run.deleted:
        yield f"run {run.run_id} is deleted"
    if not run.complete:
        yield f"run {run.run_id} is not complete (status {run.status})"
    if run.phase != "evaluate":
        yield f"run {run.run_id} is of phase {run.phase or 'unknown'}"
    if run.digest != evaluation.digest:
        yield f"run {run.run_id} read another table than its metrics say"
    if evaluation.model_id != candidate.model_id:
        yield f"run {run.run_id} is of model {evaluation.model_id or 'unknown'}"
    if run.polarity != candidate.polarity:
        yield f"run {run.run_id} is of {run.polarity or 'unknown'} polarity only"
    threshold = evaluation.metrics.get("threshold", math.nan)
    if not abs(threshold - candidate.threshold) <= ROUNDING:  # true for nan, too
        yield (
            f"run {run.run_id} is at threshold {threshold:.4f}, the stored one is "
            f"{candidate.threshold:.4f}"
        )
    if not evaluation.interval("recall").known:
        yield f"run {run.run_id} has no recall with an interval"


def judged_by(
    candidate: SpectraCandidate, champion: SpectraCandidate | None
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
