"""What promotion has to know of a pipeline: what differs between spectra and RNA, in one record."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

from priorwise.errors import BadInput, TrackingFailure
from priorwise.phases.desk import Desk, say
from priorwise.phases.gates import Finding, Gate
from priorwise.phases.model_card import Card
from priorwise.phases.promotion_candidate import C
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.registry import VersionFacts


@dataclass(frozen=True)
class Pipeline(Generic[C]):
    """One pipeline's models, as a promotion sees them.

    Attributes
    ----------
    schema : str
        In a model's description, and a tag of its versions.
    registered : str
        The name under which its models are registered, unless another one is given.
    candidate : type
        Record that the gates judge.
    gates : sequence of Gate
        That a model has to pass.
    judged : callable of (model, called, address, desk) -> candidate
        What a comparison needs of a model: its threshold and evaluations.
    facts : callable of (model, called, address, loaded, desk) -> candidate
        All that the gates ask; reads every run behind it, and the training table.
    card : type
    carried : sequence of str
        Numbers of the evaluation that a version carries.
    own_tags : callable of candidate -> tags
        That a version carries beside those of every pipeline.
    columns : mapping of heading -> tag of a version
        What `action=show` prints.
    """

    schema: str
    registered: str
    candidate: type[C]
    gates: Sequence[Gate[C]]
    judged: Callable[[ModelFacts, str, str, Desk], C]
    facts: Callable[[ModelFacts, str, str, Finding, Desk], C]
    card: type[Card[C]]
    carried: Sequence[str]
    own_tags: Callable[[C], Mapping[str, str]]
    columns: Mapping[str, str]

    @property
    def evaluate(self) -> str:
        """Phase of the runs that evaluate its models."""
        return self.candidate.evaluated_by

    def champion(self, version: VersionFacts | None, desk: Desk) -> C | None:
        """The champion as the gates see it; one that cannot be read has no evaluation."""
        if version is None:
            return None
        called = f"version {version.version}"
        try:
            model = desk.track.models.find(version.address)
            return self.judged(model, called, version.address, desk)
        except (BadInput, TrackingFailure) as error:
            say(f"warning: the champion, {called}, cannot be read: {error}")
            return self.candidate(
                called=called,
                address=version.address,
                model_id=version.model_id,
                loaded=Finding(False, str(error)),
            )
