"""Which nucleotides are hidden from the network, as a function of (seed, epoch, row)."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from priorwise.rna.alphabet import MASK, A, C, G, U

#: label of a base whose token is not asked for
IGNORED = -100
#: share of bases that are asked for; of these: hidden, replaced by another letter (the rest: kept)
ASKED, HIDDEN, REPLACED = 0.15, 0.8, 0.1
#: the epoch that stands for validation: the same bases are asked for every time
VALIDATION = 2**31


class Masked(NamedTuple):
    """A sequence with hidden bases.

    Attributes
    ----------
    tokens : numpy.ndarray of uint8
        What the network sees.
    labels : numpy.ndarray of int64
        The token of each base that is asked for, `IGNORED` elsewhere.
    """

    tokens: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def mask(tokens: npt.NDArray[np.uint8], seed: int, epoch: int, row: int) -> Masked:
    """Hide bases of one sequence (Devlin et al. 2019, BERT, section 3.1: 15 %, then 80/10/10).

    At least one base is asked for, whatever the length. The result depends on nothing but the
    arguments: not on the batch, nor on what was drawn before.

    Parameters
    ----------
    tokens : numpy.ndarray of shape (bases,), uint8
        Without CLS and SEP.
    seed, epoch, row : int
        The key; `VALIDATION` as epoch for a fixed choice.
    """
    rng = np.random.default_rng([seed, epoch, row])
    n_bases = len(tokens)
    asked = rng.random(n_bases) < ASKED
    if not asked.any():
        asked[rng.integers(n_bases)] = True
    fate = rng.random(n_bases)
    seen = np.where(asked & (fate < HIDDEN), np.uint8(MASK), tokens).astype(np.uint8)
    other = asked & (fate >= HIDDEN) & (fate < HIDDEN + REPLACED)
    seen[other] = rng.choice(np.array([A, C, G, U], np.uint8), int(other.sum()))
    return Masked(seen, np.where(asked, tokens.astype(np.int64), IGNORED))
