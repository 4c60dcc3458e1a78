"""The similarity of two sequences word by word, with dictionaries.

From its description: words of three in windows of 8 bases that overlap by half, counted from the
5' end and from the 3' end; plain words of six; the larger cosine of the two.
"""

import math
from collections import Counter


def placed(sequence):
    words = Counter()
    for start in range(len(sequence) - 2):
        word = sequence[start : start + 3]
        if "N" in word:
            continue
        for end, distance in (("5'", start), ("3'", len(sequence) - 3 - start)):
            for first in range(-4, len(sequence), 4):  # a window holds `first` .. `first` + 7
                if first <= distance < first + 8:
                    words[word, end, first] += 1
    return words


def plain(sequence):
    words = [sequence[k : k + 6] for k in range(len(sequence) - 5)]
    return Counter(word for word in words if "N" not in word)


def cosine(a, b):
    norms = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return sum(n * b[word] for word, n in a.items()) / norms if norms else 0.0


def similarity(one, other):
    return max(cosine(words(one), words(other)) for words in (placed, plain))


def linked(sequences, bound):
    """Groups by walking from sequence to sequence; a list of sets of numbers."""
    left, groups = set(range(len(sequences))), []
    while left:
        group, todo = set(), [min(left)]
        while todo:
            at = todo.pop()
            if at in group:
                continue
            group.add(at)
            todo += [
                k
                for k in left - group
                if sequences[k] == sequences[at] or similarity(sequences[at], sequences[k]) >= bound
            ]
        groups.append(group)
        left -= group
    return groups
