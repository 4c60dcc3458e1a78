"""What is known of an RNA model that is to become champion: plain records, no server."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from priorwise.phases.promotion_candidate import Candidate, Evaluation
from priorwise.rna.schema import PARTITIONS, TEST, TRAINING, UNSEEN

#: tag of an evaluation that does not say what the model does in use
PARTIAL = "partial"
#: partitions that can judge a model, those of the honest test first
JUDGING = (UNSEEN, TEST, *(p for p in PARTITIONS if p not in (UNSEEN, TEST, TRAINING)))


@dataclass(frozen=True, kw_only=True)
class RnaCandidate(Candidate):
    """An RNA model, where it comes from, and how it was judged.

    Attributes
    ----------
    method : str
        Of its decoder.
    features : tuple of str
        Parameter sets whose pair probabilities it takes beside the sequence.
    noncanonical_penalty, folding_weight, stem_weight, doubt_discount : float
        How its answers are read: taken from pairs other than AU, GC and GU; share of
        thermodynamics; how far the loop types are listened to; how much lower its threshold is in
        doubt.
    longest : int
        Bases of the longest sequence it takes; 0 for no limit of its own.
    training_digest : str
        Of the training table, as its description says; empty if it does not.
    """

    evaluated_by: ClassVar[str] = "rna_evaluate"

    method: str = ""
    features: tuple[str, ...] = ()
    noncanonical_penalty: float = 0.0
    folding_weight: float = 0.0
    stem_weight: float = 0.0
    doubt_discount: float = 0.0
    longest: int = 0
    training_digest: str = ""

    def flaws(self, evaluation: Evaluation) -> Iterator[str]:
        """Why an evaluation of a complete run does not count."""
        tags = evaluation.run.tags if evaluation.run else {}
        if PARTIAL in tags:
            yield f"is partial ({tags[PARTIAL]})"
        if not any(evaluation.interval("f1", part).known for part in JUDGING):
            yield "has no F1 with an interval"

    def summary(self, evaluation: Evaluation) -> str:
        """What an evaluation found, in a few words."""
        found = [(part, evaluation.interval("f1", part)) for part in evaluated_parts(evaluation)]
        return ", ".join(f"F1 on {part} {f1}" for part, f1 in found if f1.known)

    def evaluate_on(self, table: str) -> str:
        """Parameters of the command that evaluates a model on a table."""
        return f"-P data={shlex.quote(table)}"


def evaluated_parts(evaluation: Evaluation) -> list[str]:
    """The partitions that an evaluation has an F1 of, but for the training partition."""
    return [part for part in JUDGING if f"f1.{part}" in evaluation.metrics]
