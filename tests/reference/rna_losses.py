"""Losses and epoch metrics of the RNA training, cell by cell in plain Python.

A sequence is a dictionary: `letters` (bases, 9), `loops` (bases, 5) and `pairs` (bases, bases) are
logits; `asked` and `kinds` are the labels of each base, None where there is none; `true` is the set
of pairs, None if the structure is not known; `folding` are the logits of the second pair output,
and `teacher` (bases, bases) the probabilities that it has to learn, None without a teacher.
"""

import math

from tests.reference.focal import cell

MIN_LOOP = 3


def cross_entropy(logits, label):
    top = max(logits)
    return top + math.log(sum(math.exp(x - top) for x in logits)) - logits[label]


def entropies(logits, labels):
    """Sum of the cross-entropies, their number, and how many labels have the highest logit."""
    known = [
        (list(row), label) for row, label in zip(logits, labels, strict=True) if label is not None
    ]
    right = sum(row.index(max(row)) == label for row, label in known)
    return sum(cross_entropy(row, label) for row, label in known), len(known), right


def counted(sequence):
    """Cells that count, with what they are: (logit, is a pair)."""
    if sequence["true"] is None:
        return []
    n = len(sequence["pairs"])
    return [
        (float(sequence["pairs"][i][j]), (i, j) in sequence["true"])
        for i in range(n)
        for j in range(n)
        if j - i > MIN_LOOP
    ]


def pair_loss(logit, positive, alpha=0.75, gamma=2.0, focal=True):
    if focal:
        return cell(logit, positive, alpha, gamma)[0]
    return math.log1p(math.exp(-logit if positive else logit))


def sums(sequence, **form):
    """mlm, asked, structure, known, pair, pairs, cells, folding, folded: as in `RnaSums`."""
    mlm, asked, _ = entropies(sequence["letters"], sequence["asked"])
    structure, known, _ = entropies(sequence["loops"], sequence["kinds"])
    cells = counted(sequence)
    pair = sum(pair_loss(logit, positive, **form) for logit, positive in cells)
    pairs = sum(positive for _, positive in cells)
    return [mlm, asked, structure, known, pair, pairs, len(cells), *folding(sequence)]


def folding(sequence):
    """Cross-entropy against the teacher's probabilities, and their sum."""
    if sequence["teacher"] is None:
        return [0.0, 0.0]
    n, entropy, total = len(sequence["pairs"]), 0.0, 0.0
    for i in range(n):
        for j in range(i + MIN_LOOP + 1, n):
            logit, goal = sequence["folding"][i][j], sequence["teacher"][i][j]
            entropy += goal * math.log1p(math.exp(-logit)) + (1 - goal) * math.log1p(
                math.exp(logit)
            )
            total += goal
    return [entropy, total]


def losses(sequences, weights=(1.0, 0.8, 1.5), normalizer="positives", **form):
    """Total of three tasks, its parts, and that of the teacher: means over all together."""
    mlm, asked, structure, known, pair, pairs, cells, entropy, folded = (
        sum(column) for column in zip(*(sums(s, **form) for s in sequences), strict=True)
    )
    number = pairs if normalizer == "positives" else cells
    parts = [mlm / max(asked, 1), structure / max(known, 1), pair / max(number, 1)]
    total = sum(w * part for w, part in zip(weights, parts, strict=True))
    return [total, *parts, entropy / max(folded, 1)]


def metrics(sequences, threshold, **settings):
    """What an epoch over these sequences is told to be."""
    total, mlm, structure, pair, _ = losses(sequences, **settings)
    _, asked, letters = map(
        sum, zip(*(entropies(s["letters"], s["asked"]) for s in sequences), strict=True)
    )
    _, known, loops = map(
        sum, zip(*(entropies(s["loops"], s["kinds"]) for s in sequences), strict=True)
    )
    cells = [c for s in sequences for c in counted(s)]
    called = [positive for logit, positive in cells if 1 / (1 + math.exp(-logit)) >= threshold]
    pairs, found = sum(positive for _, positive in cells), sum(called)
    return {
        "loss": total,
        "mlm_loss": mlm,
        "structure_loss": structure,
        "pair_loss": pair,
        "mlm_accuracy": share(letters, asked),
        "structure_accuracy": share(loops, known),
        "pair_precision": share(found, len(called)),
        "pair_recall": share(found, pairs),
        "pair_f1": share(2 * found, len(called) + pairs),
    }


def share(part, whole):
    return part / whole if whole else 0.0
