"""Nucleotides as small integers: the vocabulary of the published system, ids 0-8."""

import numpy as np
import numpy.typing as npt

PAD, MASK, CLS, SEP, A, C, G, U, N = range(9)
VOCABULARY = ("[PAD]", "[MASK]", "[CLS]", "[SEP]", "A", "C", "G", "U", "N")
#: letters of a normalised sequence, in the order of their ids
LETTERS = "ACGUN"
_FIRST = A

#: byte -> id; 0 (PAD) for a byte that is no letter
_ID_OF_BYTE = np.zeros(256, np.uint8)
for _id, _letter in enumerate(LETTERS, start=_FIRST):
    _ID_OF_BYTE[ord(_letter)] = _id
_BYTE_OF_ID = np.frombuffer(b"\0" * _FIRST + LETTERS.encode(), np.uint8)


def normalise(sequence: str) -> str:
    """Write a sequence in capitals, with U for T.

    Parameters
    ----------
    sequence : str
        RNA or DNA letters of either case.

    Returns
    -------
    str
        Letters out of ACGUN.

    Raises
    ------
    ValueError
        Naming the first other letter and its position, counted from 1. Ambiguity codes (R, Y, ...)
        are other letters: to read them as N is the user's decision.
    """
    text = sequence.upper().replace("T", "U")
    if len(text) != len(sequence):  # a letter whose capital is two letters
        text = sequence
    for position, letter in enumerate(text, start=1):
        if letter not in LETTERS:
            found = sequence[position - 1]
            raise ValueError(f"letter {found!r} at position {position} (expected A, C, G, U, T, N)")
    return text


def encode(sequence: str) -> npt.NDArray[np.uint8]:
    """Ids of a normalised sequence, without special tokens; shape (length,)."""
    tokens = _ID_OF_BYTE[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    if not tokens.all():
        normalise(sequence)  # says which letter
        raise ValueError("a sequence that is not normalised (expected capitals, U for T)")
    return tokens


def decode(tokens: npt.ArrayLike) -> str:
    """Letters of nucleotide ids, special tokens not among them."""
    ids = np.asarray(tokens, np.uint8)
    if ids.size and not (ids.min() >= _FIRST and ids.max() <= N):
        raise ValueError(f"ids {ids.min()}..{ids.max()} (expected nucleotides, {_FIRST}..{N})")
    return _BYTE_OF_ID[ids].tobytes().decode()
