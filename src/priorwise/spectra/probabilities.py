"""The probabilities a network gives to rows: one way for training, tables, files and servers."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.rows import SpectraRows

#: most padded peaks that go through the network at once
BATCH_PEAKS = 1 << 14
#: tokens (peaks and one more) are padded to a multiple of this: matrix products over fewer, or over
#: an odd number of them, are rounded otherwise
TOKEN_STEP = 16


def probabilities(
    network: SpectrumClassifier,
    rows: SpectraRows,
    progress: Callable[[int], object] | None = None,
) -> npt.NDArray[np.float64]:
    """P(s=1 | x), or P(y=1 | x) for an nnPU network, of each row.

    The answer of a row does not depend on the rows beside it: it is padded by its own length
    alone, and only rows of the same padded length share a batch. So little is spent on padding,
    and memory stays bounded.

    Parameters
    ----------
    network : SpectrumClassifier
        As `encoder.steady` leaves it.
    rows : SpectraRows
    progress : callable, optional
        Called with the number of rows done since the last call.

    Returns
    -------
    numpy.ndarray of shape (n_rows,), float64
        In the order of `rows`, within [0, 1].
    """
    probability = np.empty(len(rows))
    width = -(-(rows.lengths + 1) // TOKEN_STEP) * TOKEN_STEP - 1
    order = np.argsort(width, kind="stable")
    first = 0
    with torch.inference_mode():
        while first < len(order):
            same = int(np.searchsorted(width[order], width[order[first]], side="right"))
            most = max(BATCH_PEAKS // max(int(width[order[first]]), 1), 1)
            part = order[first : min(same, first + most)]
            batch = rows.padded(part.tolist(), int(width[part[0]]))
            logits = network(batch.mz, batch.intensity, batch.settings, batch.precursor_mz)
            probability[part] = torch.sigmoid(logits.double()).numpy()
            first += len(part)
            if progress is not None:
                progress(len(part))
    return probability
