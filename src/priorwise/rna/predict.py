"""From sequences to pair probabilities and structures: the one way, for every kind of scoring."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from priorwise.rna.agreement import STEM
from priorwise.rna.batches import WIDTH_STEP, FeatureMaps, assemble
from priorwise.rna.ensemble import AnyRnaNetwork
from priorwise.rna.opinions import opinions
from priorwise.rna.records import RnaRecord
from priorwise.rna.rows import RnaRows

#: cells of the pair maps of one batch at most: memory does not depend on how many rows are asked
CELLS = 400_000


class Prediction(NamedTuple):
    """What a network says of one sequence.

    Attributes
    ----------
    row : int
    pairs : numpy.ndarray of shape (bases, bases), float32
        Probability of each pair, symmetric: both opinions, mixed.
    learned, folded : numpy.ndarray of shape (bases, bases), float32
        The opinions (see `opinions`); without a second one both are the first.
    loops : numpy.ndarray of shape (bases, 5), float32
        Probability of each loop type.
    """

    row: int
    pairs: npt.NDArray[np.float32]
    learned: npt.NDArray[np.float32]
    folded: npt.NDArray[np.float32]
    loops: npt.NDArray[np.float32]

    @property
    def stems(self) -> npt.NDArray[np.float32]:
        """Probability of each base to be in a stem, shape (bases,)."""
        return self.loops[:, STEM]


def predict(
    network: AnyRnaNetwork,
    rows: RnaRows,
    features: FeatureMaps | None = None,
    *,
    folding_weight: float = 0.0,
    cells: int = CELLS,
) -> Iterator[Prediction]:
    """Predict rows, those of like length together.

    A row's answer does not depend on the others: only rows that are padded to the same width anyway
    share a batch.

    Parameters
    ----------
    network : RnaNetwork or RnaEnsemble
        In eval mode.
    rows : RnaRows
    features : FeatureMaps, optional
    folding_weight : float
        In [0, 1]: share of the thermodynamic opinion where the other one is in doubt.
    cells : int
        Cells of the pair maps of one batch at most; with 1 every row is a batch of its own, and its
        answer the same to the last bit, whatever else is asked.

    Yields
    ------
    Prediction
        Shortest first.
    """
    widths = -(-rows.lengths // WIDTH_STEP) * WIDTH_STEP
    order = np.argsort(widths, kind="stable")
    device = next(network.parameters()).device
    for batch in _batches(order, widths, cells):
        given = assemble(rows, batch, features=features).to(device)
        with torch.inference_mode():
            answer = network(given.tokens, given.present, given.features)
            both = opinions(answer, given.present, given.features)
            learned = both.learned.cpu().numpy()
            folded = learned if both.folded is None else both.folded.cpu().numpy()
            pairs = both.mixed(folding_weight).cpu().numpy()
            loops = answer.loops.float().softmax(-1).cpu().numpy()
        for k, row in enumerate(batch.tolist()):
            n = int(rows.lengths[row])
            own = (k, slice(n), slice(n))
            yield Prediction(row, pairs[own], learned[own], folded[own], loops[k, :n])


def _batches(
    order: npt.NDArray[np.int64], widths: npt.NDArray[np.int64], cells: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Rows of one width, as many as memory allows."""
    for same in np.split(order, np.flatnonzero(np.diff(widths[order])) + 1):
        if len(same):
            size = max(1, cells // max(int(widths[same[0]]) ** 2, 1))
            yield from (same[k : k + size] for k in range(0, len(same), size))


def rows_of(sequences: Sequence[str]) -> RnaRows:
    """Rows of normalised sequences of which nothing else is known."""
    return RnaRows.build([RnaRecord(str(k), text, None) for k, text in enumerate(sequences)])
