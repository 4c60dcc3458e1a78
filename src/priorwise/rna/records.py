"""One sequence with what is known of it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class RnaRecord:
    """A sequence, and its base pairs if they are known.

    Attributes
    ----------
    id : str
        Unique within a table.
    sequence : str
        Normalised: letters out of ACGUN.
    pairs : numpy.ndarray of shape (n_pairs, 2), int32, or None
        Positions counted from 0, i < j, sorted by i, then j; None = structure unknown.
    family : str
        Of the same origin; empty if not known.
    partition : str
        TR0, VL0, TS0, NEW or CUT; empty as long as none is given.
    """

    id: str
    sequence: str
    pairs: npt.NDArray[np.int32] | None
    family: str = ""
    partition: str = ""
