"""The mixture of two opinions, cell by cell."""

import numpy as np


def doubt(pairs):
    """One minus the mean probability, weighted by fourth powers."""
    above = below = 0.0
    for p in np.asarray(pairs, np.float64).ravel():
        above += p * p * p * p * p
        below += p * p * p * p
    return 1 - above / max(below, 1e-30)


def mixed(learned, folded, folding_weight):
    """Both opinions of one sequence; the second by the square of the first one's doubt."""
    share = folding_weight * doubt(learned) ** 2
    return (1 - share) * np.asarray(learned) + share * np.asarray(folded)
