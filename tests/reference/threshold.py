"""Thresholds and their outcomes, row by row, from their definitions. Rows are (score, s, c)."""

import math


def outcome(rows, t):
    """Recall, share kept, precision (clipped) and F1 at t; a labelled row stands for 1/c rows."""
    kept = [row for row in rows if row[0] >= t]
    labelled = sum(1 for _, s, _ in rows if s)
    recall = sum(1 for _, s, _ in kept if s) / labelled
    positives = sum(1 / c for _, s, c in rows if s)
    found = sum(1 / c for _, s, c in kept if s)
    precision = min(1.0, found / len(kept)) if kept else math.nan
    # F1 = 2 TP / (called positive + positive)
    f1 = 2 * found / (len(kept) + positives) if kept else 0.0
    return recall, len(kept) / len(rows), precision, f1


def percentile(values, p):
    """The p-th percentile, linear between the two neighbouring order statistics."""
    ordered = sorted(values)
    place = p / 100 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def choose(rule, rows, p=5, keep=90):
    """The threshold of a rule; of equally good scores the highest."""
    labelled = [score for score, s, _ in rows if s]
    if rule == "percentile":
        return percentile(labelled, p)
    candidates = sorted({score for score, _, _ in rows}, reverse=True)
    if rule == "keep":
        return next(t for t in candidates if outcome(rows, t)[0] >= keep / 100 - 1e-10)
    if rule == "prior":
        pi = min(sum(1 / c for _, s, c in rows if s) / len(rows), 1.0)
        gaps = [abs(outcome(rows, t)[1] - pi) for t in candidates]
        return next(t for t, gap in zip(candidates, gaps, strict=True) if gap <= min(gaps) + 1e-9)
    scores = [outcome(rows, t)[3] for t in candidates]
    return next(t for t, f1 in zip(candidates, scores, strict=True) if f1 >= max(scores) - 1e-10)


def cells_by_hand(rows):
    """(rows, labelled, kept, labelled kept) of rows (kept, s)."""
    return (
        len(rows),
        sum(1 for _, s in rows if s),
        sum(1 for kept, _ in rows if kept),
        sum(1 for kept, s in rows if kept and s),
    )
