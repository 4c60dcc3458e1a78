"""The model card: what a registered spectra model is, in Markdown, from facts alone."""

from collections.abc import Iterator
from dataclasses import dataclass

from priorwise.phases.gates import Decision
from priorwise.phases.spectra_candidate import Evaluation, PriorUse, SpectraCandidate

#: as the results table: name of a metric, and what it says
JUDGED = (
    ("recall", "share of labelled scans at or above the threshold"),
    ("share_kept", "share of all scans at or above the threshold"),
    ("precision", "estimated share of identifiable scans among those kept"),
    ("q", "share of all scans at or above 0.5"),
)
USE = """\
## Intended use

Ranking MS2 scans, before library search or acquisition, by whether they can be identified: the
model looks at the MS1 scan before the MS2 scan, the precursor m/z and the acquisition settings.
Scans below the threshold may be skipped, or searched last.
"""
LIMITS = """\
## Limits

- Trained without negatives: "not labelled" means that no library match was found, not that the
  scan cannot be identified. The prior pi = s / c assumes that labelled scans are a random part of
  the identifiable ones (SCAR); where they are not, pi and the precision are off.
- Precision is estimated from c, not counted. Recall is counted on labelled scans only.
- It holds for data like the training table's: instrument, method, sample type and library.
  Evaluate it on your own labelled scans before you rely on the threshold.
- It knows centroided MS1 scans of the polarities named above, with the 22 acquisition settings of
  the training table.
- Not for clinical or diagnostic decisions.
"""
LICENCE = """\
## Licence

The code is under the Apache License 2.0. The weights were computed from the training table: its
terms, and those of the spectral library behind its labels, hold for them, too.
"""


@dataclass(frozen=True)
class Card:
    """What a card is made from.

    Attributes
    ----------
    name, version : str
        In the registry.
    evaluation : Evaluation or None
        The one that the gates judged.
    """

    name: str
    version: str
    model: SpectraCandidate
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
            f"Probability that an MS2 scan is identifiable, judged from the MS1 scan before it. "
            f"Polarity: {self.model.polarity}. Decision of its promotion: "
            f"**{self.decision.outcome}**.",
            "",
            *self._training(),
            *self._threshold(),
            *self._evaluation(),
            "## Gates",
            "",
            self.decision.markdown(),
            "",
            USE,
            LIMITS,
            *self._loading(),
            *self._runs(),
            LICENCE,
        ]
        return "\n".join(parts)

    def short(self) -> str:
        """For the description of the version: a few lines, and where the rest is."""
        model, judged = self.model, self.evaluation
        lines = [
            f"Identifiability of MS2 scans from the MS1 scan before; polarity: {model.polarity}.",
            f"Threshold {model.threshold:.4f} ({model.rule or 'default'}).",
        ]
        if judged:
            recall = judged.interval("recall")
            share = judged.interval("share_kept").value
            lines.append(f"Test Set 3: recall {recall}, keeps {100 * share:.1f} % of all scans.")
        if model.trained_on:
            lines.append(f"Trained on: {model.trained_on}.")
        lines += [f"{p.polarity}: pi {p.pi.value:.4f} by {_estimator(p)}." for p in model.priors]
        lines.append(f"Decision: {self.decision.outcome}.")
        lines.append(self.decision.markdown())
        lines.append(f"Model card: model_card.md of run {self.run_id}.")
        return "\n\n".join(lines)

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
        yield from ("", "## Priors", "")
        if not self.model.priors:
            yield "None: this model was trained on labels and scores s, not y."
        else:
            yield "| polarity | pi (95 % interval) | c | s | estimator | run |"
            yield "|---|---|---|---|---|---|"
        for p in self.model.priors:
            pi = str(p.pi) if p.pi.known else f"{p.pi.value:.4f} (no interval)"
            yield (
                f"| {p.polarity} | {pi} | {p.c:.4f} | {p.s:.4f} | {_estimator(p)} | "
                f"{p.run_id or 'none'} |"
            )
        yield ""

    def _threshold(self) -> Iterator[str]:
        yield from ("## Threshold", "")
        rule = self.model.rule or "default, not chosen on data"
        yield f"{self.model.threshold:.4f} ({rule}). A scan is kept if its probability is at least"
        yield "that."
        yield ""

    def _evaluation(self) -> Iterator[str]:
        yield from ("## Evaluation", "")
        judged = self.evaluation
        if judged is None:
            yield from ("None that counts.", "")
            return
        yield f"Test Set 3, digest `{judged.digest}`, run {judged.run_id}; 95 % intervals."
        yield ""
        modes = ("", *self.model.modes) if len(self.model.modes) > 1 else ("",)
        names = [mode or self.model.polarity for mode in modes]
        yield f"| metric | {' | '.join(names)} | meaning |"
        yield f"|---|{'---|' * (len(names) + 1)}"
        for name, meaning in JUDGED:
            cells = []
            for mode in modes:
                found = judged.interval(name, mode)
                known = found.value == found.value
                cells.append(str(found) if found.known else f"{found.value:.4f}" if known else "")
            yield f"| {name} | {' | '.join(cells)} | {meaning} |"
        yield ""

    def _loading(self) -> Iterator[str]:
        yield "## How to load"
        yield "\n```python"
        yield "import os"
        yield 'os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"'
        yield "import mlflow"
        yield f'model = mlflow.pyfunc.load_model("{self.address}")'
        yield "# rows as in the table: mz_array, intensity_array, precursor_mz, instrument_settings"
        yield "answer = model.predict(rows)  # columns probability, identifiable"
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
        }
        for p in model.priors:
            runs[f"prior, {p.polarity}"] = p.run_id
            if p.found and p.found.bce:
                runs[f"BCE, {p.polarity}"] = p.found.bce.run_id
        yield from (f"- {what}: {run}" for what, run in runs.items() if run)
        yield f"- model: {model.model_id}\n"


def _estimator(prior: PriorUse) -> str:
    return prior.estimator or ("a number given by the user" if not prior.run_id else "unknown")
