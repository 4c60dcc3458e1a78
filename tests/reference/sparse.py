"""What adaptive sparse training promises, checked row by row; and the published controller."""

import numpy as np


class Ledger:
    """Counts visits with plain loops, independently of the selection under test."""

    def __init__(self, n_rows):
        self.visits = [[] for _ in range(n_rows)]
        self.offered = self.selected = 0
        self.rates = []

    def note(self, epoch, offered, selected):
        self.offered += len(offered)
        for row in selected:
            assert row in offered
            assert not self.visits[row] or self.visits[row][-1] < epoch
            self.visits[row].append(epoch)
            self.selected += 1
        self.rates.append((self.offered, self.selected))

    def longest_gap(self, epochs):
        """Most epochs from one visit to the next, the beginning counting as one before epoch 0."""
        longest = 0
        for visits in self.visits:
            stops = [-1, *visits]
            gaps = [b - a for a, b in zip(stops[:-1], stops[1:], strict=True)]
            longest = max(longest, *gaps, epochs - stops[-1]) if gaps else epochs + 1
        return longest


def top_probabilities(weights, k):
    """min(1, c w) with sum k, c found by bisection."""
    low, high = 0.0, 1e18 / min(weights)
    for _ in range(400):
        c = (low + high) / 2
        total = sum(min(1.0, c * w) for w in weights)
        low, high = (c, high) if total < k else (low, c)
    return np.array([min(1.0, high * w) for w in weights])
