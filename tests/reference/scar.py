"""The SCAR check once more, row by row and group by group, from its definition.

Bayes' rule: of a group's rows above the threshold pi_g P + (1 - pi_g) N reach it, pi_g P of them
positive. Statistics from scipy's own functions.
"""

import math

from scipy.stats import chi2, norm


def wilson(k, n, z=1.959963984540054):
    """Both ends of Wilson's interval: the p with |k/n - p| = z sqrt(p (1-p) / n)."""
    p = k / n
    a, b, c = 1 + z * z / n, -(2 * p + z * z / n), p * p
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def purity(fraction, recall, false_positive_rate):
    """Share of positives among a group's top rows, its prior solved for first."""
    pi = (fraction - false_positive_rate) / (recall - false_positive_rate)
    return min(1.0, max(0.05, pi * recall / fraction))


def threshold_and_bound(rows, pure=0.85, purest=0.3, level=0.8):
    """Widest pure top region by the labelled rows, and the upper bound of c."""
    of_labelled = sorted(score for score, s, _ in rows if s)

    def region(share):
        t = of_labelled[int((1 - share) * len(of_labelled))]
        inside = [s for score, s, _ in rows if score >= t]
        return t, len(inside), sum(inside) / len(inside)

    _, n, best = region(purest)
    bound = min(1.0, best + norm.ppf(level) * math.sqrt(best * (1 - best) / n))
    regions = [region(share) for share in (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85)]
    highest = max([best] + [fraction for _, _, fraction in regions])
    chosen = regions[0][0]
    for t, _, fraction in regions:
        if fraction >= pure * highest:
            chosen = t
    return chosen, bound


def check(rows, steps=41, fewest=5):
    """p, chi-square, N, and {group: c} of rows (score, s, group)."""
    t, bound = threshold_and_bound(rows)
    size, n, k = {}, {}, {}
    for score, s, group in rows:
        size[group] = size.get(group, 0) + 1
        n[group] = n.get(group, 0) + (score >= t)
        k[group] = k.get(group, 0) + (score >= t and s)
    s_rate = sum(s for _, s, _ in rows) / len(rows)
    top = sum(n.values())
    recall = sum(k.values()) / sum(s for _, s, _ in rows)
    positive = sum(k.values()) / bound  # rows in the region that are positive at least
    most = max(0.0, top - positive) / (len(rows) * (1 - s_rate / bound))
    most = min(most, recall / 2)
    used = [group for group in sorted(size) if n[group] >= fewest]
    best = None
    for i in range(steps):
        rate = most * i / (steps - 1)
        pure = {g: purity(n[g] / size[g], recall, rate) for g in used}
        c = sum(k[g] for g in used) / sum(n[g] * pure[g] for g in used)
        mean = {g: n[g] * c * pure[g] for g in used}
        variance = {g: mean[g] * (1 - c * pure[g]) for g in used}
        whole = sum(variance.values())
        statistic = sum((k[g] - mean[g]) ** 2 / variance[g] for g in used)
        largest = max(
            abs(k[g] - mean[g]) / math.sqrt(variance[g] * (1 - variance[g] / whole)) for g in used
        )
        p_spread = chi2.sf(statistic, len(used) - 1)
        p_odd = 1 - (1 - 2 * norm.sf(largest)) ** len(used)
        cauchy = (math.tan((0.5 - p_spread) * math.pi) + math.tan((0.5 - p_odd) * math.pi)) / 2
        p = 0.5 - math.atan(cauchy) / math.pi
        if best is None or p > best[0]:
            best = p, statistic, rate, {g: k[g] / n[g] / pure[g] for g in used}
    return best
