"""How a model's pair probabilities are read, chosen on known structures.

What is chosen here, the share of thermodynamics and the penalty of pairs other than AU, GC and GU,
how much lower the threshold is in doubt, and how far the loop types are listened to, says how far a
model may be trusted on sequences unlike its training; so it is judged on partitions side by side,
of which one should be far from the training.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from priorwise.rna.decoding import Decoder, doubt_of_bases
from priorwise.rna.opinions import mixed
from priorwise.rna.scoring import StrictScores

FOLDING_WEIGHTS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
PENALTIES = (0.0, 0.05, 0.1, 0.2, 0.3)
#: one threshold for all sequences, or one that falls to nothing with the doubt: values between them
#: are no better on VL0 and CUT, and theory knows no reason for them (see `Decoder`)
DISCOUNTS = (0.0, 1.0)
STEM_WEIGHTS = (0.0, 0.2, 0.4)
#: means of F1 that differ by less are equal
TIE = 1e-12
THRESHOLDS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


class Judged(NamedTuple):
    """A sequence with known structure, and both opinions of its pairs.

    Attributes
    ----------
    partition : str
    learned, folded : numpy.ndarray of shape (L, L)
    tokens : numpy.ndarray of shape (L,)
    pairs : numpy.ndarray of shape (n_pairs, 2)
        True pairs, 0-based, i < j.
    stems : numpy.ndarray of shape (L,)
        Probability of each base to be in a stem.
    """

    partition: str
    learned: NDArray[np.floating]
    folded: NDArray[np.floating]
    tokens: NDArray[np.integer]
    pairs: NDArray[np.integer]
    stems: NDArray[np.floating]

    def mixed(self, folding_weight: float) -> NDArray[np.floating]:
        """Pair probabilities by both opinions (see `opinions.mixed`)."""
        return mixed(self.learned, self.folded, folding_weight)


@dataclass(frozen=True)
class ReadingChoice:
    """The chosen reading, and what was tried.

    Attributes
    ----------
    folding_weight, noncanonical_penalty, stem_weight, doubt_discount : float
    table : pandas.DataFrame
        A line for each combination: these four, the best threshold for it, the mean strict F1 of
        each partition, and f1, the mean of these means.
    """

    folding_weight: float
    noncanonical_penalty: float
    stem_weight: float
    doubt_discount: float
    table: pd.DataFrame


def choose_reading(
    decoder: Decoder,
    examples: Iterable[Judged],
    folding_weights: Iterable[float] = FOLDING_WEIGHTS,
    penalties: Iterable[float] = PENALTIES,
    stem_weights: Iterable[float] = STEM_WEIGHTS,
    discounts: Iterable[float] = DISCOUNTS,
) -> ReadingChoice:
    """The share, the penalty, the say of loop types and the discount that give a good F1.

    Each partition counts alike. Of the combinations that are not clearly worse than the best one,
    by at most one standard error of the paired difference, those with the largest share are kept,
    and of these the best is taken: sequences to judge by resemble those of the training more than
    those of new families do, so they flatter what was learned; what thermodynamics says is as good
    on either.

    Structures are decoded greedily, whatever the decoder's method: that takes a hundredth of the
    time where a model is unsure, and orders the combinations alike.

    Of equally good combinations of one share the one with the smaller penalty, say of loop types
    and discount.

    Parameters
    ----------
    decoder : Decoder
        Whether it takes canonical pairs only is kept.
    examples : iterable of Judged
        At least one; each is looked at once, so they may be made on the way.
    folding_weights, penalties, stem_weights, discounts : iterable of float
        To choose from.

    Raises
    ------
    ValueError
        If there is no example, or nothing to choose from.
    """
    weights, taken, heard, lowered = (
        sorted(set(values)) for values in (folding_weights, penalties, stem_weights, discounts)
    )
    tried = list(product(weights, taken, heard, lowered))
    if not tried:
        raise ValueError(
            "folding_weights, penalties, stem_weights, discounts: expected at least one of each"
        )
    each: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for example in examples:
        f1 = [_f1(decoder, example, weight, taken, heard, lowered) for weight in weights]
        each[example.partition].append(np.concatenate(f1))
    if not each:
        raise ValueError("examples: expected at least one sequence with a structure")
    f1_of = {name: np.stack(each[name]) for name in sorted(each)}
    means = {name: f1.mean(0) for name, f1 in f1_of.items()}
    both = np.mean(list(means.values()), axis=0)
    threshold = both.argmax(1)
    lines = np.arange(len(tried))
    at_best = {name: mean[lines, threshold] for name, mean in means.items()}
    names = ["folding_weight", "noncanonical_penalty", "stem_weight", "doubt_discount"]
    table = pd.DataFrame(tried, columns=names)
    table["threshold"] = np.array(THRESHOLDS)[threshold]
    table = table.assign(**at_best, f1=both.max(1))
    best = _not_clearly_worse([f1[:, lines, threshold] for f1 in f1_of.values()], table)
    return ReadingChoice(*tried[best], table)


def _not_clearly_worse(f1: Sequence[NDArray[np.floating]], table: pd.DataFrame) -> int:
    """The line to take; `f1` of each partition has shape (examples, lines)."""
    mean, share = table["f1"].to_numpy(), table["folding_weight"].to_numpy()
    best = int(mean.argmax())
    variance = sum(
        (part - part[:, [best]]).var(0, ddof=1) / len(part) for part in f1 if len(part) > 1
    )
    error = np.sqrt(variance) / len(f1)
    near = mean >= mean[best] - error - TIE
    near &= share == share[near].max()
    return int(np.flatnonzero(near & (mean >= mean[near].max() - TIE))[0])


def _f1(
    decoder: Decoder,
    example: Judged,
    folding_weight: float,
    penalties: Sequence[float],
    stem_weights: Sequence[float],
    discounts: Sequence[float],
) -> NDArray[np.float64]:
    """Strict F1 of one example, shape (penalties * stem_weights * discounts, thresholds)."""
    pairs = example.mixed(folding_weight)
    doubt = doubt_of_bases(pairs, example.tokens)
    thresholds = [t * (1 - discount * doubt) for discount in discounts for t in THRESHOLDS]
    found = []
    for penalty, stem_weight in product(penalties, stem_weights):
        reading = Decoder(
            "greedy",
            canonical_only=decoder.canonical_only,
            noncanonical_penalty=penalty,
            stem_weight=stem_weight,
        )
        found += reading.decode_each(pairs, example.tokens, thresholds, example.stems)
    f1 = StrictScores.of(found, [example.pairs] * len(found)).f1
    return f1.reshape(-1, len(THRESHOLDS))
