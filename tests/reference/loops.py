"""Loop types base by base, from the definitions; nested sets by trying every subset.

Written to be read, not to be fast: each unpaired base looks for the innermost pair around it and
for the pairs right inside that one.
"""

from itertools import combinations


def conflict(p, q):
    """Whether two pairs cross or share a base."""
    (i, j), (k, m) = sorted((p, q))
    return bool({i, j} & {k, m}) or i < k < j < m


def largest_nested(pairs):
    """The largest set without conflict; of several, the first in the order of sorted lists."""
    pairs = sorted(tuple(p) for p in pairs)
    for size in range(len(pairs), 0, -1):
        for chosen in combinations(pairs, size):  # in the order of sorted lists
            if not any(conflict(p, q) for p, q in combinations(chosen, 2)):
                return list(chosen)
    return []


def loop_types(length, pairs):
    """Names of the loop types, one for each base."""
    tree = largest_nested(pairs)
    paired = {base for pair in pairs for base in pair}
    return ["STEM" if base in paired else _kind(base, tree) for base in range(length)]


def _kind(base, tree):
    around = [(j - i, i, j) for i, j in tree if i < base < j]
    if not around:
        return "NONE"
    _, i, j = min(around)
    inside = [(k, m) for k, m in tree if i < k and m < j]
    children = [p for p in inside if not any(q[0] < p[0] and p[1] < q[1] for q in inside)]
    if not children:
        return "HAIRPIN"
    if len(children) > 1:
        return "LOOP"
    k, m = children[0]
    left, right = k - i - 1, j - m - 1
    return "BULGE" if left == 0 or right == 0 else "LOOP"
