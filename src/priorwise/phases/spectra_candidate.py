"""What is known of a spectra model that is to become champion: plain records, no server."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from priorwise.phases.candidates import PriorCandidate
from priorwise.phases.promotion_candidate import Candidate, Evaluation, Interval
from priorwise.spectra.schema import POLARITIES


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


@dataclass(frozen=True, kw_only=True)
class SpectraCandidate(Candidate):
    """A spectra model, where it comes from, and how it was judged.

    Attributes
    ----------
    polarity : str
        As its description says.
    named_priors : mapping of polarity -> run id
        The prior runs by the immutable params of the training run.
    """

    evaluated_by: ClassVar[str] = "evaluate"

    polarity: str = ""
    priors: tuple[PriorUse, ...] = ()
    named_priors: Mapping[str, str] = field(default_factory=dict)

    @property
    def modes(self) -> tuple[str, ...]:
        """The polarities that it knows."""
        return POLARITIES if self.polarity == "both" else (self.polarity,)

    def flaws(self, evaluation: Evaluation) -> Iterator[str]:
        """Why an evaluation of a complete run does not count."""
        polarity = evaluation.run.polarity if evaluation.run else ""
        if polarity != self.polarity:
            yield f"is of {polarity or 'unknown'} polarity only"
        if not evaluation.interval("recall").known:
            yield "has no recall with an interval"

    def summary(self, evaluation: Evaluation) -> str:
        """What an evaluation found, in a few words."""
        return f"recall {evaluation.interval('recall')}"

    def evaluate_on(self, table: str) -> str:
        """Parameters of the command that evaluates a model on a table."""
        return f"-P test_3={shlex.quote(table)}"
