"""The model card of an RNA model."""

from collections.abc import Iterator
from typing import ClassVar

from priorwise.phases.model_card import Card
from priorwise.phases.promotion_candidate import Evaluation
from priorwise.phases.rna_candidate import RnaCandidate, evaluated_parts
from priorwise.rna.schema import PARTITIONS, UNSEEN

#: columns of the table after F1: heading, name of a metric, format
JUDGED = (
    ("precision", "precision", ".4f"),
    ("recall", "recall", ".4f"),
    ("AP", "ap", ".4f"),
    ("loop types", "structure_accuracy", ".4f"),
    ("F1 of a copy", "copy_f1", ".4f"),
    ("F1 of RNAfold", "rnafold_f1", ".4f"),
    ("trained on", "leak_exact", ".0f"),
    ("similar", "leak_similar", ".1%"),
)
METHODS = {
    "nested": "the structure of the largest expected accuracy, without pseudoknots",
    "matching": "the largest sum of probabilities above the threshold; pairs may cross",
    "greedy": "the likeliest pair first; pairs may cross",
}


class RnaCard(Card[RnaCandidate]):
    """What a registered RNA model is."""

    USE: ClassVar[str] = """\
## Intended use

Secondary structures of RNA sequences where none is known from experiments: which bases pair, with
a confidence. Beside the thermodynamic prediction, not in place of it.
"""
    LIMITS: ClassVar[str] = f"""\
## Limits

- It holds for RNAs like the training table's: their families and lengths. The partition {UNSEEN}
  (families that the training does not have) says what to expect of others; the test partition of
  known families measures memory, too.
- The confidence is the mean probability of the predicted pairs, not the probability that the whole
  structure is right.
- At most one partner per base; no hairpin of fewer than three bases; no modified bases, no
  tertiary contacts, no interaction of several molecules.
- Structures of databases are themselves predicted from alignments, in part.
- Not for clinical or diagnostic decisions.
"""
    TERMS: ClassVar[str] = ", and those of the databases that its structures come from"

    def about(self) -> str:
        """What the model says."""
        model = self.model
        beside = f", with pair probabilities of {', '.join(model.features)}" * bool(model.features)
        most = f" At most {model.longest} bases." * bool(model.longest)
        return f"Base pairs of an RNA from its sequence{beside}; decoding: {model.method}.{most}"

    def of_threshold(self, rule: str) -> Iterator[str]:
        """What the threshold does."""
        model = self.model
        yield f"{model.threshold:.4f} ({rule}). A pair has at least this probability. Decoding"
        yield f"{model.method}: {METHODS.get(model.method, 'unknown')}."
        if model.folding_weight:
            source = "ViennaRNA" if model.features else "what the network learned of ViennaRNA"
            yield f"Thermodynamics ({source}) has a say where the network is in doubt:"
            yield f"{model.folding_weight:g} times the square of the doubt of a sequence's pairs."
        if model.stem_weight:
            yield f"The loop types have a say in the pairs: {model.stem_weight:g} times the mean"
            yield "log-odds that either base is in a stem are added to the log-odds of a pair."
        if model.doubt_discount:
            yield f"The threshold falls by {model.doubt_discount:g} times the doubt of the pairs."
        if model.noncanonical_penalty:
            yield f"Pairs other than AU, GC and GU lose {model.noncanonical_penalty:g} beforehand."

    def of_evaluation(self, judged: Evaluation) -> Iterator[str]:
        """A table of metrics, by partition."""
        yield f"Table of digest `{judged.digest}`, run {judged.run_id}. F1 is strict: a pair counts"
        yield "if both ends are right; mean over sequences, with its 95 % interval. A copy: the"
        yield "structure of the nearest training sequence of the same length."
        yield ""
        parts = evaluated_parts(judged)
        shown = [
            (heading, name, form)
            for heading, name, form in JUDGED
            if any(f"{name}.{part}" in judged.metrics for part in parts)
        ]
        yield f"| partition | sequences | F1 | {' | '.join(heading for heading, _, _ in shown)} |"
        yield f"|---|---|---|{'---|' * len(shown)}"
        for part in parts:
            cells = [part, _cell(judged, f"n.{part}", ".0f"), str(judged.interval("f1", part))]
            cells += [_cell(judged, f"{name}.{part}", form) for _, name, form in shown]
            yield f"| {' | '.join(cells)} |"
        yield ""
        yield from (f"- {part}: {PARTITIONS[part]}" for part in parts)

    def in_short(self, judged: Evaluation) -> str:
        """F1 by partition."""
        other = _cell(judged, f"rnafold_f1.{UNSEEN}", ".4f")
        beside = f" (RNAfold on {UNSEEN}: {other})" if other else ""
        return f"Strict {self.model.summary(judged)}{beside}."

    def loading(self) -> Iterator[str]:
        """Lines of Python that ask the loaded `model`."""
        yield "import pandas as pd"
        yield 'rows = pd.DataFrame({"sequence": ["GGGAGCUUCGGCUCCC"]})'
        yield "answer = model.predict(rows)  # columns dot_bracket, pairs (from 1), confidence"


def _cell(judged: Evaluation, name: str, form: str) -> str:
    value = judged.value(name)
    return format(value, form) if value == value else ""
