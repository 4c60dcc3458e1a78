"""The threshold of a decoder, chosen on sequences with known structures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from priorwise.rna.decoding import Decoder
from priorwise.rna.scoring import StrictScores

#: tried if none are given: every .02 from .02 to .98
GRID = tuple(round(0.02 * k, 2) for k in range(1, 50))


class Example(NamedTuple):
    """A sequence with predicted probabilities and its structure.

    Attributes
    ----------
    probabilities : numpy.ndarray of shape (L, L)
    tokens : numpy.ndarray of shape (L,)
    pairs : numpy.ndarray of shape (n_pairs, 2)
        True pairs, 0-based, i < j.
    stems : numpy.ndarray of shape (L,), optional
        Probability of each base to be in a stem.
    """

    probabilities: NDArray[np.floating]
    tokens: NDArray[np.integer]
    pairs: NDArray[np.integer]
    stems: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class ThresholdChoice:
    """Scores of each threshold, and the best.

    Attributes
    ----------
    table : pandas.DataFrame
        Ascending threshold; precision, recall, f1: means over sequences of the strict scores.
    decoder : Decoder
        With the chosen threshold.
    f1 : float
        Its mean F1; optimistic, for it was chosen by it.
    """

    table: pd.DataFrame
    decoder: Decoder
    f1: float


def choose_threshold(
    decoder: Decoder, examples: Iterable[Example], thresholds: Iterable[float] = GRID
) -> ThresholdChoice:
    """The threshold with the best mean strict F1; of equally good ones the highest.

    Each matrix is looked at once for all thresholds (`Decoder.decode_each`), so the examples may
    be made on the way.

    Parameters
    ----------
    decoder : Decoder
        All but its threshold is kept.
    examples : iterable of Example
        At least one.
    thresholds : iterable of float
        To choose from, in [0, 1].

    Raises
    ------
    ValueError
        If there is no example or no threshold.
    """
    tried = sorted(set(thresholds))
    if not tried:
        raise ValueError("thresholds: expected at least one")
    total, n = np.zeros((3, len(tried))), 0
    for example in examples:
        found = decoder.decode_each(example.probabilities, example.tokens, tried, example.stems)
        scores = _scores(found, example)
        total += [scores.precision, scores.recall, scores.f1]
        n += 1
    if not n:
        raise ValueError("examples: expected at least one sequence with a structure")
    precision, recall, f1 = total / n
    best = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[-1])
    table = pd.DataFrame({"threshold": tried, "precision": precision, "recall": recall, "f1": f1})
    return ThresholdChoice(table, replace(decoder, threshold=tried[best]), float(f1[best]))


def _scores(found: Sequence[NDArray[np.int32]], example: Example) -> StrictScores:
    """Scores of several predictions for one sequence."""
    paired = np.zeros(example.probabilities.shape, bool)
    paired[example.pairs[:, 0], example.pairs[:, 1]] = True
    return StrictScores(
        np.full(len(found), len(example.pairs)),
        np.array([len(pairs) for pairs in found]),
        np.array([int(paired[pairs[:, 0], pairs[:, 1]].sum()) for pairs in found]),
    )
