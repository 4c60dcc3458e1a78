"""What resampling whole data sets can give, by going through every draw there is."""

from fractions import Fraction
from itertools import product


def rates_of_draws(rows, labelled):
    """Labelled fraction of every ordered draw of as many data sets as there are."""
    n = range(len(rows))
    return [
        Fraction(sum(labelled[i] for i in draw), sum(rows[i] for i in draw))
        for draw in product(n, repeat=len(rows))
    ]


def means_of_draws(groups):
    """Mean of the pooled values of every ordered draw of groups."""
    drawn = (sum(draw, []) for draw in product(groups, repeat=len(groups)))
    return [sum(values) / len(values) for values in drawn]
