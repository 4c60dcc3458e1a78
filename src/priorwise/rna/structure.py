"""Secondary structures: brackets to pairs and back, and the kind of loop each base lies in."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from priorwise.rna.alphabet import A, C, G, U
from priorwise.rna.nesting import nested_pairs

Pairs = npt.NDArray[np.int32]

#: a hairpin has at least three bases in its loop: pairs are looked for where j - i > MIN_LOOP
MIN_LOOP = 3

NONE, STEM, LOOP, BULGE, HAIRPIN = range(5)
LOOP_NAMES = ("NONE", "STEM", "LOOP", "BULGE", "HAIRPIN")
#: loop type where the structure is not known; losses and metrics leave it out
UNKNOWN = -100

CANONICAL = frozenset({"AU", "UA", "GC", "CG", "GU", "UG"})
_CANONICAL = np.zeros((256, 256), bool)
for _i, _j in ((A, U), (G, C), (G, U)):
    _CANONICAL[_i, _j] = _CANONICAL[_j, _i] = True

UNPAIRED = "."
#: opening and closing bracket of each level, pseudoknots after the first
BRACKETS = ("()", "[]", "{}", "<>", *(f"{chr(65 + k)}{chr(97 + k)}" for k in range(26)))
_OPENS = {pair[0]: level for level, pair in enumerate(BRACKETS)}
_CLOSES = {pair[1]: level for level, pair in enumerate(BRACKETS)}


def pairs_of(dot_bracket: str) -> Pairs:
    """Read the pairs from a structure in brackets.

    Parameters
    ----------
    dot_bracket : str
        "." for an unpaired base; (), [], {}, <> and Aa to Zz for pairs. Brackets of different
        kinds may cross (pseudoknots).

    Returns
    -------
    numpy.ndarray of shape (n_pairs, 2), int32
        Positions counted from 0, i < j, sorted by i.

    Raises
    ------
    ValueError
        Naming the character and its position, counted from 1, that has no partner or no meaning.
    """
    open_at: list[list[int]] = [[] for _ in BRACKETS]
    pairs = []
    for position, character in enumerate(dot_bracket):
        if character in _OPENS:
            open_at[_OPENS[character]].append(position)
        elif character in _CLOSES:
            level = _CLOSES[character]
            if not open_at[level]:
                raise ValueError(
                    f"{character!r} at position {position + 1} closes nothing "
                    f"(expected a {BRACKETS[level][0]!r} before it)"
                )
            pairs.append((open_at[level].pop(), position))
        elif character != UNPAIRED:
            raise ValueError(
                f"{character!r} at position {position + 1} of the structure "
                "(expected '.' or brackets)"
            )
    left = min((stack[0] for stack in open_at if stack), default=None)
    if left is not None:
        raise ValueError(f"{dot_bracket[left]!r} at position {left + 1} is never closed")
    return sorted_pairs(pairs)


def sorted_pairs(pairs: npt.ArrayLike | Sequence[tuple[int, int]]) -> Pairs:
    """Pairs as an int32 array of shape (n_pairs, 2), sorted by i, then j."""
    array = np.asarray(pairs, np.int32).reshape(-1, 2)
    return array[np.lexsort((array[:, 1], array[:, 0]))]


def dot_bracket(length: int, pairs: npt.ArrayLike) -> str:
    """Write pairs as brackets.

    The largest set of pairs that do not cross gets (), the largest such set of the rest [], and
    so on.

    Parameters
    ----------
    length : int
        Bases of the sequence.
    pairs : array_like of shape (n_pairs, 2)
        Positions counted from 0, i < j.

    Raises
    ------
    ValueError
        If a pair is out of range, a base has several partners, or the kinds of brackets run out.
    """
    rest = _checked(length, pairs)
    bases, counts = np.unique(rest, return_counts=True)
    if (counts > 1).any():
        base = int(bases[np.argmax(counts > 1)])
        raise ValueError(f"the base at position {base + 1} has several partners (expected one)")
    text = [UNPAIRED] * length
    for brackets in BRACKETS:
        nested = nested_pairs(rest)
        for i, j in rest[nested].tolist():
            text[i], text[j] = brackets[0], brackets[1]
        rest = rest[~nested]
        if not len(rest):
            return "".join(text)
    raise ValueError(f"pairs cross more than {len(BRACKETS)} deep (no brackets are left)")


def loop_types(length: int, pairs: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Kind of loop each base lies in.

    ======= =======================================================================================
    STEM    paired
    HAIRPIN unpaired, within a pair, no pair inside that one
    BULGE   unpaired between two pairs, and nothing unpaired on the other side
    LOOP    unpaired between two pairs, with bases on both sides; or in a multiloop
    NONE    not within any pair
    ======= =======================================================================================

    Where pairs cross or a base has several, the loops are those of the largest set of pairs that
    does neither (`nested_pairs`); bases of the other pairs are STEM.

    Parameters
    ----------
    length : int
        Bases of the sequence.
    pairs : array_like of shape (n_pairs, 2)
        Positions counted from 0, i < j.

    Returns
    -------
    numpy.ndarray of shape (length,), int8

    Raises
    ------
    ValueError
        If a pair is out of range.
    """
    every = _checked(length, pairs)
    nested = every[nested_pairs(every)]
    types = np.full(length, NONE, np.int8)
    enclosing: list[int] = []  # pairs around the base at hand
    partner = np.full(length, -1)
    partner[nested[:, 0]], partner[nested[:, 1]] = nested[:, 1], nested[:, 0]
    free: dict[int, list[list[int]]] = {}  # opening base -> unpaired stretches between its stems
    for base, other in enumerate(partner.tolist()):
        if other > base:
            if enclosing:
                free[enclosing[-1]].append([])
            enclosing.append(base)
            free[base] = [[]]
        elif other >= 0:
            stretches = free.pop(enclosing.pop())
            kind = _kind(stretches)
            for stretch in stretches:
                types[stretch] = kind
        elif enclosing:
            free[enclosing[-1]][-1].append(base)
    types[every.ravel()] = STEM
    return types


def _kind(stretches: list[list[int]]) -> int:
    if len(stretches) == 1:
        return HAIRPIN
    return BULGE if len(stretches) == 2 and not all(stretches) else LOOP


def is_canonical(tokens_i: npt.ArrayLike, tokens_j: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether two bases can form a Watson-Crick or G-U pair; ids of `alphabet`, broadcast."""
    return _CANONICAL[np.asarray(tokens_i, np.uint8), np.asarray(tokens_j, np.uint8)]


def _checked(length: int, pairs: npt.ArrayLike) -> Pairs:
    array = sorted_pairs(pairs)
    bad = (array[:, 0] < 0) | (array[:, 0] >= array[:, 1]) | (array[:, 1] >= length)
    if bad.any():
        i, j = (array[bad][0] + 1).tolist()
        raise ValueError(f"pair {i}-{j} in a sequence of {length} (expected 1 <= i < j <= length)")
    return array
