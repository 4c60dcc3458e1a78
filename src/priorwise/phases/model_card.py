"""The model card: what a registered model is, in Markdown, from facts alone."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic

from priorwise.phases.gates import Decision
from priorwise.phases.promotion_candidate import C, Evaluation

LICENCE = """\
## Licence

The code is under the Apache License 2.0. The weights were computed from the training table: its
terms{and_those}, hold for them, too.
"""


@dataclass(frozen=True)
class Card(ABC, Generic[C]):
    """What a card is made from; a pipeline adds its words.

    Attributes
    ----------
    name, version : str
        In the registry.
    evaluation : Evaluation or None
        The one that the gates judged.
    """

    #: what a model is for, what it is not for, which other terms hold for its weights
    USE: ClassVar[str]
    LIMITS: ClassVar[str]
    TERMS: ClassVar[str]

    name: str
    version: str
    model: C
    evaluation: Evaluation | None
    decision: Decision
    run_id: str

    @property
    def address(self) -> str:
        """What it is loaded by."""
        return f"models:/{self.name}/{self.version}"

    def text(self) -> str:
        """The whole card."""
        parts = [
            f"# {self.name}, version {self.version}",
            "",
            f"{self.about()} Decision of its promotion: **{self.decision.outcome}**.",
            "",
            *self._training(),
            *self.more_of_training(),
            "## Threshold",
            "",
            *self.of_threshold(self.model.rule or "default, not chosen on data"),
            "",
            "## Evaluation",
            "",
            *(self.of_evaluation(self.evaluation) if self.evaluation else ["None that counts."]),
            "",
            "## Gates",
            "",
            self.decision.markdown(),
            "",
            self.USE,
            self.LIMITS,
            *self._loading(),
            *self._runs(),
            LICENCE.format(and_those=self.TERMS),
        ]
        return "\n".join(parts)

    def short(self) -> str:
        """For the description of the version: a few lines, and where the rest is."""
        model = self.model
        lines = [
            self.about(),
            f"Threshold {model.threshold:.4f} ({model.rule or 'default'}).",
            *([self.in_short(self.evaluation)] if self.evaluation else []),
            *([f"Trained on: {model.trained_on}."] if model.trained_on else []),
            *self.more_in_short(),
            f"Decision: {self.decision.outcome}.",
            self.decision.markdown(),
            f"Model card: model_card.md of run {self.run_id}.",
        ]
        return "\n\n".join(lines)

    @abstractmethod
    def about(self) -> str:
        """What the model says, in one or two sentences."""

    @abstractmethod
    def of_threshold(self, rule: str) -> Iterator[str]:
        """What the threshold does."""

    @abstractmethod
    def of_evaluation(self, judged: Evaluation) -> Iterator[str]:
        """What the evaluation found."""

    @abstractmethod
    def in_short(self, judged: Evaluation) -> str:
        """The same in one line."""

    @abstractmethod
    def loading(self) -> Iterator[str]:
        """Lines of Python that ask the loaded `model`."""

    def more_of_training(self) -> Iterator[str]:
        """What else there is to say of where the model comes from."""
        return iter(())

    def more_in_short(self) -> Iterator[str]:
        """The same in a few lines."""
        return iter(())

    def more_runs(self) -> dict[str, str]:
        """Runs behind the training: what they are, and their ids."""
        return {}

    def _training(self) -> Iterator[str]:
        training = self.model.training
        yield from ("## Training data", "")
        if self.model.trained_on:
            yield f"- {self.model.trained_on}"
        if training:
            yield f"- table of digest `{training.digest}`, Lance version {training.version}"
            scenario = training.tags.get("scenario", "")
            yield f"- {training.phase}{f', scenario {scenario}' if scenario else ''}"
        else:
            yield "- unknown: the training run does not exist"
        if self.model.table.detail:
            yield f"- {self.model.table.detail}"
        yield ""

    def _loading(self) -> Iterator[str]:
        yield "## How to load"
        yield "\n```python"
        yield "import os"
        yield 'os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"'
        yield "import mlflow"
        yield f'model = mlflow.pyfunc.load_model("{self.address}")'
        yield from self.loading()
        yield "```\n"
        yield "A registered model runs code when it is loaded: load only from a registry you trust."
        yield f"SHA-256 of its weights: `{self.model.sha256}`.\n"

    def _runs(self) -> Iterator[str]:
        model = self.model
        yield "## Runs behind it\n"
        runs = {
            "training": model.training.run_id if model.training else "",
            "logged by": model.logged_by.run_id if model.logged_by else "",
            "evaluation": self.evaluation.run_id if self.evaluation else "",
            "promotion": self.run_id,
            **self.more_runs(),
        }
        yield from (f"- {what}: {run}" for what, run in runs.items() if run)
        yield f"- model: {model.model_id}\n"
