"""Rows of a table as a loader wants them: assembled for an epoch, hidden bases included."""

from dataclasses import dataclass, replace

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
    teacher : FeatureMaps or None
        Pair probabilities to learn: the mean of these maps.
    """

    rows: RnaRows
    seed: int
    validation: bool = False
    features: FeatureMaps | None = None
    teacher: FeatureMaps | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bases of each row."""
        return self.rows.lengths

    def assemble(self, indices: Indices, epoch: int) -> RnaBatch:
        """The rows `indices` as one batch."""
        batch = assemble(
            self.rows,
            indices,
            seed=self.seed,
            epoch=VALIDATION if self.validation else epoch,
            features=self.features,
        )
        if self.teacher is None:
            return batch
        goal = self.teacher.padded(indices, batch.present.shape[1]).mean(-1)
        return replace(batch, teacher=goal)
