"""What a network's two answers, loop types and pairs, say of each other.

They are learned side by side and make different mistakes, so each is better for listening to the
other: a pair needs two bases in stems, and bases that pair settle the loop types of those between.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from priorwise.rna.structure import LOOP_NAMES, loop_types

#: log-odds that a structure adds to the loop types that follow from it: .1 to .5 are alike on VL0
#: and CUT, and better than 0 on both; above 1 the structure's mistakes cost more than it gives
LOOP_WEIGHT = 0.25
STEM = LOOP_NAMES.index("STEM")
#: no opinion is surer than this
SURE = 1e-6


def supported(
    pairs: NDArray[np.floating], stems: NDArray[np.floating], stem_weight: float
) -> NDArray[np.floating]:
    """Scores of pairs: their probabilities, moved by what the loop types say of both bases.

    The log-odds of a pair plus stem_weight times the mean of the log-odds that either base is in a
    stem. A score orders pairs and is held against a threshold; it is no calibrated probability.

    Parameters
    ----------
    pairs : numpy.ndarray of shape (L, L)
        Probabilities.
    stems : numpy.ndarray of shape (L,)
        Probability of each base to be in a stem.
    stem_weight : float
        0 or more.

    Returns
    -------
    numpy.ndarray of shape (L, L)
        In [0, 1]; symmetric if `pairs` is.
    """
    each = stem_weight / 2 * _log_odds(stems)
    both = each[:, None] + each[None]  # first, so that rounding keeps the symmetry
    return np.asarray(expit(_log_odds(pairs) + both), pairs.dtype)


def agreed_loops(
    loops: NDArray[np.floating], pairs: NDArray[np.integer], weight: float = LOOP_WEIGHT
) -> NDArray[np.int64]:
    """The likeliest loop type of each base, given a structure that is not certain.

    Parameters
    ----------
    loops : numpy.ndarray of shape (L, 5)
        Probabilities by the network.
    pairs : numpy.ndarray of shape (n_pairs, 2)
        The decoded structure.
    weight : float
        What a loop type's logarithm gains if it follows from the structure.

    Returns
    -------
    numpy.ndarray of shape (L,), int64
        Of equally likely types the first.
    """
    score = np.log(np.maximum(loops, SURE))
    score[np.arange(len(loops)), loop_types(len(loops), pairs)] += weight
    return np.asarray(score.argmax(1), np.int64)


def _log_odds(probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(logit(np.clip(probabilities, SURE, 1 - SURE)))
