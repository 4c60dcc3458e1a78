"""What a model has to beat: ViennaRNA, and copying the structure of the nearest known sequence."""

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
    parameters: Parameters = "turner2004",
    *,
    workers: int | None = None,
) -> Iterator[NDArray[np.float32]]:
    """`pair_probabilities` of many sequences, in their order, with a progress bar on stderr.

    Parameters
    ----------
    sequences, parameters
        As for `pair_probabilities`.
    workers : int, optional
        Processes; as many as there are processors if not given, none for few sequences.

    Yields
    ------
    numpy.ndarray of shape (L, L), float32
    """
    fold = partial(ensembles, parameters=checked(parameters))
    return _each(fold, sequences, workers, f"pair probabilities, {parameters}")


def copy_nearest(
    sequences: Sequence[str], training: Sequence[str], pairs: Sequence[NDArray[np.integer]]
) -> list[NDArray[np.int32]]:
    """The pairs of the nearest training sequence of the same length: memory without a model.

    Nearest is what differs at the fewest positions (Hamming); of several the first.

    Parameters
    ----------
    sequences : sequence of str
        Normalised.
    training : sequence of str
        Normalised, all with a known structure.
    pairs : sequence of numpy.ndarray of shape (n_pairs, 2)
        Of each training sequence.

    Returns
    -------
    list of numpy.ndarray of shape (n_pairs, 2), int32
        No pairs where no training sequence has that length.
    """
    if len(training) != len(pairs):
        raise ValueError(f"pairs: expected {len(training)} structures, got {len(pairs)}")
    known = _by_length(training)
    found = [np.empty((0, 2), np.int32)] * len(sequences)
    for length, (asked, letters) in _by_length(sequences).items():
        if length not in known:
            continue
        others, theirs = known[length]
        for place, row in zip(asked, letters, strict=True):
            nearest = others[int((theirs != row).sum(axis=1).argmin())]
            found[place] = np.asarray(pairs[nearest], np.int32)
    return found


def _by_length(sequences: Sequence[str]) -> dict[int, tuple[list[int], NDArray[np.uint8]]]:
    """Per length the places of its sequences, and their letters, one row each."""
    places: dict[int, list[int]] = {}
    for place, sequence in enumerate(sequences):
        places.setdefault(len(sequence), []).append(place)
    return {
        length: (here, np.array([list(sequences[k].encode()) for k in here], np.uint8))
        for length, here in places.items()
    }


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
