"""Structures of a few bases: every one there is, and the best of them."""

from fractions import Fraction

CANONICAL = {"AU", "UA", "GC", "CG", "GU", "UG"}


def allowed(sequence, matrix, threshold, canonical_only=False, penalty=0):
    """{(i, j): score} of the pairs that may be chosen, as exact fractions."""
    found = {}
    for i, a in enumerate(sequence):
        for j in range(i + 4, len(sequence)):
            score = Fraction(float(matrix[i][j]))
            if a + sequence[j] not in CANONICAL:
                if canonical_only:
                    continue
                score -= Fraction(penalty)
            if a in "ACGUN" and sequence[j] in "ACGUN" and score >= Fraction(threshold):
                found[i, j] = score
    return found


def crosses(one, other):
    (i, j), (k, m) = sorted([one, other])
    return i < k < j < m


def structures(cells, nested):
    """Every set of pairs with at most one partner per base, without crossings if nested."""
    if not cells:
        return [frozenset()]
    (first, *rest) = cells
    without = structures(rest, nested)
    free = [c for c in rest if not set(c) & set(first) and not (nested and crosses(c, first))]
    return without + [s | {first} for s in structures(free, nested)]


def best_value(cells, threshold, nested):
    """Largest sum of (score - threshold)."""
    every = structures(sorted(cells), nested)
    return max(sum((cells[c] - Fraction(threshold) for c in s), Fraction(0)) for s in every)


def greedy(cells):
    """Highest score first; of equal ones the smaller i, then j."""
    taken, busy = set(), set()
    for pair in sorted(cells, key=lambda c: (-cells[c], c)):
        if not busy & set(pair):
            taken.add(pair)
            busy |= set(pair)
    return taken
