"""Criteria computed with the true classes known, and areas by counting pairs."""


def from_truth(predicted, y):
    """F1, accuracy, precision * recall / pi from (predicted, true) pairs."""
    pairs = list(zip(predicted, y, strict=True))
    tp = sum(1 for p, t in pairs if p and t)
    fp = sum(1 for p, t in pairs if p and not t)
    fn = sum(1 for p, t in pairs if not p and t)
    tn = len(pairs) - tp - fp - fn
    pi = (tp + fn) / len(pairs)
    f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0
    product = (tp / (tp + fp)) * (tp / (tp + fn)) / pi if tp + fp else 0.0
    return f1, (tp + tn) / len(pairs), product


def auc(higher, lower):
    """Share of pairs in which the first is larger; equal ones count half."""
    won = sum((a > b) + (a == b) / 2 for a in higher for b in lower)
    return won / (len(higher) * len(lower))
