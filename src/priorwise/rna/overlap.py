"""How much one partition gives away of another: equal sequences, and similar ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from priorwise.rna.similarity import nearest

#: about 92 % shared bases: a copy with a few substitutions
NEAR_COPY = 0.8


@dataclass(frozen=True)
class Overlap:
    """The sequences of `second`, seen from those of `first`.

    Attributes
    ----------
    first, second : str
        Partitions.
    rows : int
        Sequences of `second`.
    exact : int
        Those of them that are in `first`, too.
    highest, mean : float
        Of the similarities of each to its nearest neighbour in `first`; in [0, 1].
    near_copies : float
        Share of those whose similarity is above `NEAR_COPY`; in [0, 1].
    """

    first: str
    second: str
    rows: int
    exact: int
    highest: float
    mean: float
    near_copies: float


def overlaps(sequences: Mapping[str, Sequence[str]]) -> list[Overlap]:
    """Compare each partition with each later one.

    Parameters
    ----------
    sequences : mapping of partition -> sequences
        In order, the training partition first. Empty ones are left out.
    """
    found = []
    there = [name for name, rows in sequences.items() if rows]
    for first, second in combinations(there, 2):
        known, rows = set(sequences[first]), sequences[second]
        exact = np.array([sequence in known for sequence in rows])
        _, similarity = nearest(sequences[first], rows)
        similarity[exact] = 1  # too short for any word, or all N, it would be 0
        found.append(
            Overlap(
                first,
                second,
                len(rows),
                int(exact.sum()),
                float(similarity.max()),
                float(similarity.mean()),
                float(np.mean(similarity > NEAR_COPY)),
            )
        )
    return found
