"""The mixture of two opinions, cell by cell."""

import numpy as np


def mixed(learned, folded, folding_weight):
    """Both opinions of one sequence; the second by the square of the first one's doubt."""
    above = below = 0.0
    for p in np.asarray(learned, np.float64).ravel():
        above += p * p * p * p * p
        below += p * p * p * p
    doubt = 1 - above / max(below, 1e-30)
    share = folding_weight * doubt * doubt
    return (1 - share) * np.asarray(learned) + share * np.asarray(folded)
