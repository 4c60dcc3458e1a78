"""Many sequences through ViennaRNA: minimum free energy structures and pair probabilities."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from priorwise.rna.viennarna import (
    Parameters,
    checked,
    ensembles,
    minimum_free_energies,
    viennarna,
)

#: fewer sequences than this are folded in this process: starting others takes longer
FEWEST_FOR_WORKERS = 200
#: sequences folded at once, so that loading the energies (6 ms) matters little
CHUNK = 16
Folded = TypeVar("Folded")


def rnafold(sequences: Sequence[str], *, workers: int | None = None) -> list[NDArray[np.int32]]:
    """Pairs of the minimum free energy structure (RNAfold, Turner 2004, 37 degrees C).

    Parameters
    ----------
    sequences : sequence of str
        Normalised: letters ACGUN.
    workers : int, optional
        Processes; as many as there are processors if not given, none for few sequences.

    Returns
    -------
    list of numpy.ndarray of shape (n_pairs, 2), int32
        0-based, i < j, sorted by i; without pseudoknots.

    Raises
    ------
    BadInput
        If ViennaRNA is not installed.
    """
    return list(_each(minimum_free_energies, sequences, workers, "RNAfold"))


def pair_probabilities(sequence: str, parameters: Parameters = "turner2004") -> NDArray[np.float32]:
    """Probability of every pair in the Boltzmann ensemble (McCaskill 1990) at 37 degrees C.

    Parameters
    ----------
    sequence : str
        Normalised: letters ACGUN; N pairs with nothing.
    parameters : {"turner2004", "andronescu2007", "langdon2018"}
        The energies. ViennaRNA's defaults are loaded again afterwards.

    Returns
    -------
    numpy.ndarray of shape (L, L), float32
        Symmetric, 0 on the diagonal.

    Raises
    ------
    BadInput
        If ViennaRNA is not installed.
    ValueError
        If `parameters` is not one of the three.
    """
    (found,) = ensembles([sequence], checked(parameters))
    return found


def each_pair_probabilities(
    sequences: Sequence[str],
    parameter_sets: Sequence[Parameters] = ("turner2004",),
    *,
    workers: int | None = None,
) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """`pair_probabilities` of many sequences, in their order, with a progress bar on stderr.

    Parameters
    ----------
    sequences : sequence of str
        Normalised.
    parameter_sets : sequence of str
        As for `pair_probabilities`, each of them.
    workers : int, optional
        Processes; as many as there are processors if not given, none for few sequences.

    Yields
    ------
    tuple of numpy.ndarray of shape (L, L), float32
        One for each parameter set.
    """
    fold = partial(_ensembles, tuple(checked(parameters) for parameters in parameter_sets))
    return _each(fold, sequences, workers, "pair probabilities")


def _ensembles(
    parameter_sets: Sequence[Parameters], sequences: Sequence[str]
) -> list[tuple[NDArray[np.float32], ...]]:
    return list(
        zip(*(ensembles(sequences, parameters) for parameters in parameter_sets), strict=True)
    )


def _each(
    fold: Callable[[Sequence[str]], list[Folded]],
    sequences: Sequence[str],
    workers: int | None,
    what: str,
) -> Iterator[Folded]:
    """What `fold` gives for each sequence, in order."""
    viennarna()  # if it is missing, this is said before the work and not by a worker
    chunks = [sequences[start : start + CHUNK] for start in range(0, len(sequences), CHUNK)]
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if len(sequences) >= FEWEST_FOR_WORKERS else 1
    with ExitStack() as stack:
        bar = stack.enter_context(
            tqdm(
                total=len(sequences),
                desc=what,
                unit="sequence",
                mininterval=1,
                leave=False,
                disable=None,
            )
        )
        each: Iterator[list[Folded]] = map(fold, chunks)
        if workers > 1:
            # spawned, for the fork of a process with threads (torch, Lance) can hang
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(workers, mp_context=context)
            stack.callback(pool.shutdown, cancel_futures=True)
            each = pool.map(fold, chunks)
        for found in each:
            bar.update(len(found))
            yield from found
