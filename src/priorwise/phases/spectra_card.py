"""The model card of a spectra model."""

from collections.abc import Iterator
from typing import ClassVar

from priorwise.phases.model_card import Card
from priorwise.phases.promotion_candidate import Evaluation
from priorwise.phases.spectra_candidate import PriorUse, SpectraCandidate

#: as the results table: name of a metric, and what it says
JUDGED = (
    ("recall", "share of labelled scans at or above the threshold"),
    ("share_kept", "share of all scans at or above the threshold"),
    ("precision", "estimated share of identifiable scans among those kept"),
    ("q", "share of all scans at or above 0.5"),
)


class SpectraCard(Card[SpectraCandidate]):
    """What a registered spectra model is."""

    USE: ClassVar[str] = """\
## Intended use

Ranking MS2 scans, before library search or acquisition, by whether they can be identified: the
model looks at the MS1 scan before the MS2 scan, the precursor m/z and the acquisition settings.
Scans below the threshold may be skipped, or searched last.
"""
    LIMITS: ClassVar[str] = """\
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
    TERMS: ClassVar[str] = ", and those of the spectral library behind its labels"

    def about(self) -> str:
        """What the model says."""
        return (
            "Probability that an MS2 scan is identifiable, judged from the MS1 scan before it. "
            f"Polarity: {self.model.polarity}."
        )

    def of_threshold(self, rule: str) -> Iterator[str]:
        """What the threshold does."""
        yield f"{self.model.threshold:.4f} ({rule}). A scan is kept if its probability is at least"
        yield "that."

    def of_evaluation(self, judged: Evaluation) -> Iterator[str]:
        """A table of metrics, by polarity."""
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

    def in_short(self, judged: Evaluation) -> str:
        """Recall and share kept."""
        share = judged.value("share_kept")
        return (
            f"Test Set 3: recall {judged.interval('recall')}, keeps {100 * share:.1f} % of all "
            "scans."
        )

    def loading(self) -> Iterator[str]:
        """Lines of Python that ask the loaded `model`."""
        yield "# rows as in the table: mz_array, intensity_array, precursor_mz, instrument_settings"
        yield "answer = model.predict(rows)  # columns probability, identifiable"

    def more_of_training(self) -> Iterator[str]:
        """The priors it was trained with."""
        yield from ("## Priors", "")
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

    def more_in_short(self) -> Iterator[str]:
        """The priors, a line each."""
        for p in self.model.priors:
            yield f"{p.polarity}: pi {p.pi.value:.4f} by {_estimator(p)}."

    def more_runs(self) -> dict[str, str]:
        """Runs of the priors."""
        runs = {}
        for p in self.model.priors:
            runs[f"prior, {p.polarity}"] = p.run_id
            if p.found and p.found.bce:
                runs[f"BCE, {p.polarity}"] = p.found.bce.run_id
        return runs


def _estimator(prior: PriorUse) -> str:
    return prior.estimator or ("a number given by the user" if not prior.run_id else "unknown")
