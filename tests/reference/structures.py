"""Scores of predicted pairs, straight from their definitions."""


def strict(predicted, true):
    """Precision, recall and F1 of one sequence; pairs as sets of tuples."""
    common = len(predicted & true)
    precision = common / len(predicted) if predicted else float(not true)
    recall = common / len(true) if true else float(not predicted)
    both = len(predicted) + len(true)
    return precision, recall, 2 * common / both if both else 1.0


def average_precision(cells):
    """Sum over the distinct probabilities of (recall step) * precision; cells (p, paired)."""
    total = sum(paired for _, paired in cells)
    value, before = 0.0, 0.0
    for t in sorted({p for p, _ in cells}, reverse=True):
        kept = [paired for p, paired in cells if p >= t]
        recall = sum(kept) / total
        value += (recall - before) * sum(kept) / len(kept)
        before = recall
    return value


def calibration_error(cells, bins, lowest):
    """Mean distance between probability and share of pairs over bins, weighted by cells."""
    error, n = 0.0, 0
    for k in range(bins):
        here = [c for c in cells if min(int(c[0] * bins), bins - 1) == k]
        if here and k / bins >= lowest - 1e-12:
            error += abs(sum(p for p, _ in here) - sum(paired for _, paired in here))
            n += len(here)
    return error / n if n else float("nan")
