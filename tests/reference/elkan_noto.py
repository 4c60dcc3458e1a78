"""Elkan & Noto 2008, estimator e1 and what follows, in plain Python with exact sums."""

import math
from fractions import Fraction


def e1(scores):
    """Mean of g(x) over the labelled validation rows."""
    return math.fsum(float(g) for g in scores) / len(scores)


def rates_from_counts(labelled_positives, positives, unlabelled_negatives):
    """s, c, pi, alpha by counting rows whose class is known."""
    rows = positives + unlabelled_negatives
    return (
        Fraction(labelled_positives, rows),
        Fraction(labelled_positives, positives),
        Fraction(positives, rows),
        Fraction(positives - labelled_positives, rows - labelled_positives),
    )
