"""What choosing a threshold and evaluating share: a model, and held-out rows it has not seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from priorwise.errors import BadInput
from priorwise.phases.candidates import RUN_ID
from priorwise.phases.checks import polarity_list
from priorwise.phases.desk import Desk, say
from priorwise.phases.logged_model import find_model
from priorwise.pu.evaluation import Frequency
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.saved_model import SavedModel, load_saved_model
from priorwise.spectra.scoring import dataset_of_rows, predictions
from priorwise.store.tables import open_pinned
from priorwise.tracking.evidence import dataset_inputs
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.search import History, RunFacts


@dataclass(frozen=True)
class JudgedModel:
    """A model and the polarities it is judged in.

    Attributes
    ----------
    facts : ModelFacts
    saved : SavedModel
    modes : tuple of str
    """

    facts: ModelFacts
    saved: SavedModel
    modes: tuple[str, ...]

    @property
    def polarity(self) -> str:
        """As in every run's contract: both, positive or negative."""
        return "both" if len(self.modes) == 2 else self.modes[0]

    @property
    def upstream(self) -> dict[str, str]:
        """Tags that say which model, and which training it comes from (if this project's own)."""
        training = str(self.saved.description["training_run"])
        known = {"upstream.training": training} if training else {}
        return {"upstream.model": self.facts.model_id, **known}

    def inherited(self, history: History) -> dict[str, str]:
        """Tags that a run takes over from the training: the scenario, where there is one."""
        training = history.run(str(self.saved.description["training_run"]))
        scenario = training.tags.get("scenario", "") if training else ""
        return {"scenario": scenario} if scenario else {}

    def frequencies(self) -> dict[str, Frequency]:
        """Label frequency c of each polarity, where the priors it was trained with say it."""
        priors = {mode: self.saved.priors.get(mode, {}) for mode in self.modes}
        return {mode: _frequency(prior) for mode, prior in priors.items() if "c" in prior}

    def frequencies_on(self, test: TableFacts) -> dict[str, Frequency]:
        """The same for the rows of a table: raised where pi = s / c of these would exceed 1.

        c carries over from one table to another that was labelled alike; pi need not.
        """
        found = self.frequencies()
        for mode, frequency in found.items():
            s = test.label_rate(mode)
            if s > frequency.c:
                say(
                    f"warning: {test.uri}: s = {s:.4f} of {mode} mode is above c = "
                    f"{frequency.c:.4f} of the model's prior, so that pi = s / c would exceed 1; 1 "
                    "is used (was this table labelled in another way?)"
                )
                found[mode] = Frequency(s, min(s, frequency.low), max(s, frequency.high))
        return found


def find_judged(model: str, phase: str, polarities: str, desk: Desk) -> JudgedModel:
    """The model named, or the one of the newest complete run of `phase`.

    Raises
    ------
    BadInput
        If there is none, or it does not know a polarity asked for.
    """
    facts = find_model(model, desk, phase)
    saved = load_saved_model(facts.folder)
    modes = saved.modes if polarities == "auto" else polarity_list(polarities)
    unknown = [mode for mode in modes if mode not in saved.modes]
    if unknown:
        raise BadInput(
            f"polarities: model {facts.model_id} is for {saved.polarity} polarity only "
            f"({unknown[0]} asked for)"
        )
    return JudgedModel(facts, saved, modes)


def _frequency(prior: Mapping[str, float]) -> Frequency:
    """C with its interval; a prior given as a number has none."""
    c = float(prior["c"])
    return Frequency(c, min(c, prior.get("c.low", c)), max(c, min(1.0, prior.get("c.high", c))))


def upstream_of(run_ids: Sequence[str], history: History) -> Iterator[RunFacts]:
    """The runs and all that they were built on, as far as they are known; each once."""
    waiting, seen = list(run_ids), set()
    while waiting:
        run_id = waiting.pop(0)
        if run_id in seen or not RUN_ID.match(run_id):
            continue
        seen.add(run_id)
        facts = history.run(run_id)
        if facts is None:
            continue
        yield facts
        for name, value in facts.params.items():
            if name.startswith("contract.upstream."):
                waiting += value.split(",")


def refuse_seen(
    test: TableFacts, model: JudgedModel, roles: Sequence[str], what: str, desk: Desk
) -> None:
    """Refuse a table whose rows the model, or a step before it, was made with.

    Parameters
    ----------
    roles : sequence of str
        Uses of a table that disqualify it: training, validation, test_1, test_2.
    what : str
        What the rows are wanted for.

    Raises
    ------
    BadInput
        Naming the run and the role.
    """
    built_on = (model.facts.run_id, str(model.saved.description["training_run"]))
    for facts in upstream_of(built_on, desk.track.history):
        for role, table in dataset_inputs(desk.track.client, facts.run_id).items():
            if role in roles and table.digest == test.digest:
                raise BadInput(
                    f"{test.uri}: is the {role} table of run {facts.run_id} ({facts.name}), which "
                    f"this model was built on (expected other rows for {what})"
                )


def score_test(test: TableFacts, network: SpectrumClassifier, modes: Sequence[str]) -> pd.DataFrame:
    """Scores of a test set, polarity by polarity.

    Returns
    -------
    pandas.DataFrame
        Columns of `scoring.predictions`, polarity and dataset_id.
    """
    pinned = open_pinned(test.uri, test.version)
    parts = [predictions(network, load_rows(pinned, mode)).assign(polarity=mode) for mode in modes]
    scores = pd.concat(parts, ignore_index=True)
    scores["dataset_id"] = dataset_of_rows(pinned, scores)
    return scores
