"""Rows of a table as a loader wants them: assembled for an epoch, hidden bases included."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from priorwise.rna.batches import FeatureMaps, Indices, RnaBatch, assemble
from priorwise.rna.masking import VALIDATION
from priorwise.rna.rows import RnaRows


@dataclass(frozen=True)
class RnaSource:
    """Sequences to train on or to validate with.

    Attributes
    ----------
    rows : RnaRows
    seed : int
        Key of the hidden bases.
    validation : bool
        The same bases are hidden in every epoch.
    features : FeatureMaps or None
    """

    rows: RnaRows
    seed: int
    validation: bool = False
    features: FeatureMaps | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bases of each row."""
        return self.rows.lengths

    def assemble(self, indices: Indices, epoch: int) -> RnaBatch:
        """The rows `indices` as one batch."""
        return assemble(
            self.rows,
            indices,
            seed=self.seed,
            epoch=VALIDATION if self.validation else epoch,
            features=self.features,
        )
