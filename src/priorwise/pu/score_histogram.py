"""Ranking quality of scores seen batch by batch: histograms of labelled and unlabelled rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: bins, and where the first and the last one end on the scale arsinh(score)
BINS, END = 2**18, 12.0


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of scores, of unlabelled and of labelled rows; they add up over batches and ranks.

    Bins are equally wide on the scale arsinh(score): 1e-4 around 0 and a ten-thousandth of the
    score far from it, to 80,000 on both sides. So they suit the logits of any network, and the
    area below differs by less than 1e-3 from that of the scores themselves unless these are all
    but constant.

    Attributes
    ----------
    counts : numpy.ndarray of shape (2, BINS), float64
        Row 0 unlabelled, row 1 labelled; bins from the lowest score to the highest. nan in a row
        of which a score was no number.
    """

    counts: NDArray[np.float64]

    @classmethod
    def zero(cls) -> "ScoreHistogram":
        """Return the histogram of no rows."""
        return cls(np.zeros((2, BINS)))

    @classmethod
    def of(cls, scores: ArrayLike, labelled: ArrayLike) -> "ScoreHistogram":
        """Count one batch.

        Parameters
        ----------
        scores : array_like of shape (n_rows,)
            Logits, or any scores that are higher for likelier positives.
        labelled : array_like of shape (n_rows,)
            s, as 0/1 or bool.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        values, s = np.asarray(scores, dtype=np.float64), np.asarray(labelled, dtype=bool)
        if values.ndim != 1 or values.shape != s.shape:
            raise ValueError(f"labelled: expected shape {values.shape}, got {s.shape}")
        counts = np.zeros((2, BINS))
        for row, of in enumerate((values[~s], values[s])):
            counts[row] = np.bincount(_bin_of(of[~np.isnan(of)]), minlength=BINS)
            if np.isnan(of).any():
                counts[row] = np.nan
        return cls(counts)

    def __add__(self, other: "ScoreHistogram") -> "ScoreHistogram":
        """Count the rows of both."""
        return ScoreHistogram(self.counts + other.counts)

    def labelled_auc(self) -> float:
        """Probability that a labelled row scores above an unlabelled one; ties count half.

        The area under the ROC curve of s, Mann and Whitney's U / (n_1 n_0), with scores of one
        bin as ties.

        Returns
        -------
        float
            In [0, 1]; nan without labelled or without unlabelled rows.
        """
        unlabelled, labelled = self.counts
        pairs = unlabelled.sum() * labelled.sum()
        if not pairs > 0:
            return float("nan")
        below = np.cumsum(unlabelled) - unlabelled
        return float(labelled @ (below + unlabelled / 2) / pairs)


def _bin_of(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin of each score, 0 to BINS - 1; scores beyond the ends go to the outermost."""
    place = (np.arcsinh(scores) + END) * (BINS / (2 * END))
    return np.clip(place, 0, BINS - 1).astype(np.int64)
