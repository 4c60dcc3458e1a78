"""The structure of a sequence, with a confidence: what a user asks a model for."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from priorwise.rna.decoding import Decoder
from priorwise.rna.structure import MIN_LOOP, dot_bracket


class Fold(NamedTuple):
    """The structure of one sequence.

    Attributes
    ----------
    dot_bracket : str
    pairs : numpy.ndarray of shape (n_pairs, 2), int32
        Positions counted from 0, i < j, sorted by i.
    confidence : float
        In [0, 1]. Mean probability of the pairs; of a structure without pairs, 1 minus the
        probability of the likeliest pair there could have been (1 if there is no place for one).
    """

    dot_bracket: str
    pairs: npt.NDArray[np.int32]
    confidence: float

    @classmethod
    def of(
        cls,
        probabilities: npt.NDArray[np.float32],
        tokens: npt.NDArray[np.uint8],
        decoder: Decoder,
        stems: npt.NDArray[np.float32] | None = None,
    ) -> "Fold":
        """Decode pair probabilities.

        Parameters
        ----------
        probabilities : numpy.ndarray of shape (L, L)
        tokens : numpy.ndarray of shape (L,)
        decoder : Decoder
        stems : numpy.ndarray of shape (L,), optional
            As for `Decoder.decode`.

        Raises
        ------
        ValueError
            If a probability is not finite, or more pairs cross each other than there are brackets.
        """
        pairs = decoder.decode(probabilities, tokens, stems)
        return cls(dot_bracket(len(tokens), pairs), pairs, confidence(probabilities, pairs))


def confidence(probabilities: npt.NDArray[np.float32], pairs: npt.NDArray[np.int32]) -> float:
    """How sure a structure is, as `Fold` says.

    Parameters
    ----------
    probabilities : numpy.ndarray of shape (L, L)
        Of each pair.
    pairs : numpy.ndarray of shape (n_pairs, 2)
    """
    if len(pairs):
        return float(probabilities[pairs[:, 0], pairs[:, 1]].mean(dtype=np.float64))
    possible = probabilities[np.triu_indices(len(probabilities), MIN_LOOP + 1)]
    return 1.0 - float(possible.max(initial=0.0))
