"""How unsure a map of pair probabilities is of its sequence."""

from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Array = TypeVar("Array", torch.Tensor, NDArray[np.floating])


def doubt(pairs: Array) -> Array:
    """How unsure pair probabilities are: 0 where each is 0 or 1, near 1 where none is high.

    One minus the mean probability, each cell counting by its fourth power: a map has thousands of
    cells with a few percent each, which would hide its hundred pairs in a plain mean.

    Parameters
    ----------
    pairs : torch.Tensor or numpy.ndarray of shape (..., L, L)
        In [0, 1]. Cells that are 0, such as padding, change nothing.

    Returns
    -------
    Of the same kind, of shape (...,)
        In [0, 1]; 1 if there is nothing but zeros.
    """
    weight = pairs**4
    sure: Array = (weight * pairs).sum((-2, -1)) / weight.sum((-2, -1)).clip(min=1e-30)
    return 1 - sure
