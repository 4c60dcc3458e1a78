"""What a validation tells of structures: decoded, scored sequence by sequence, over thresholds."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from priorwise.rna.cells import CellCounts, cells_of
from priorwise.rna.decoding import Decoder
from priorwise.rna.rows import RnaRows
from priorwise.rna.schema import CUT
from priorwise.rna.scoring import StrictScores

#: thresholds that are tried after each epoch; the kept model's is chosen from a finer grid
TRIED = (0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass
class StructureJudge:
    """Collects decoded structures of the validation rows of one epoch.

    Attributes
    ----------
    rows : RnaRows
        Of the validation partition and of the cut; rows without structure are passed over.
    decoder : Decoder
        Its threshold is not looked at.
    """

    rows: RnaRows
    decoder: Decoder
    _f1: dict[int, npt.NDArray[np.float64]] = field(default_factory=dict)
    _cells: CellCounts = field(default_factory=CellCounts.zero)

    def in_cut(self, row: int) -> bool:
        """Whether a row is of the cut, which losses and accuracies leave out."""
        return self.rows.partitions[row] == CUT

    def clear(self) -> None:
        """Forget the epoch before."""
        self._f1.clear()
        self._cells = CellCounts.zero()

    def add(
        self, row: int, probabilities: npt.NDArray[np.float32], stems: npt.NDArray[np.float32]
    ) -> None:
        """Take in the pair probabilities of one row.

        Parameters
        ----------
        row : int
        probabilities : numpy.ndarray of shape (bases, bases)
        stems : numpy.ndarray of shape (bases,)
            Probability of each base to be in a stem.
        """
        if not self.rows.labelled[row]:
            return
        true = self.rows.pairs_of_row(row)
        tokens = self.rows.tokens_of_row(row)
        found = self.decoder.decode_each(probabilities, tokens, TRIED, stems)
        self._f1[row] = np.array([float(StrictScores.of([f], [true]).f1[0]) for f in found])
        if not self.in_cut(row):
            self._cells += CellCounts.of(cells_of(probabilities, true))

    def metrics(self) -> dict[str, float]:
        """Mean F1 per sequence at the best threshold tried, and average precision.

        `selection_f1` is the mean of the validation partition and of the cut, where there is one:
        the first one alone prefers models that know families by heart.
        """
        parts = {"val": [r for r in self._f1 if not self.in_cut(r)]}
        parts["cut"] = [r for r in self._f1 if self.in_cut(r)]
        means = {
            name: np.mean([self._f1[r] for r in sorted(rows)], axis=0)
            for name, rows in parts.items()
            if rows
        }
        if not means:
            return {}
        both = np.mean(list(means.values()), axis=0)
        best = int(both.argmax())
        return {
            **{f"{name}_strict_f1": float(mean[best]) for name, mean in means.items()},
            "selection_f1": float(both[best]),
            "selection_threshold": TRIED[best],
            "val_ap": self._cells.average_precision(),
        }
