"""From pair probabilities to a structure: at most one partner per base."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from priorwise.rna.agreement import supported
from priorwise.rna.alphabet import A
from priorwise.rna.doubt import doubt
from priorwise.rna.matching import best_matching
from priorwise.rna.nested import best_nested
from priorwise.rna.structure import MIN_LOOP, is_canonical

Method = Literal["greedy", "matching", "nested"]
#: between structures that are equally good, more pairs win: a pair at the threshold is worth this
TIE = 1e-9


class _Cells(NamedTuple):
    """Pairs that may be chosen, sorted by position."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    score: NDArray[np.float64]


@dataclass(frozen=True)
class Decoder:
    """How a matrix of pair probabilities becomes pairs.

    A pair (i, j) may be chosen if both are nucleotides, j - i >= 4, and its score is at least the
    threshold. Its score is its probability, less `noncanonical_penalty` if it is not one of AU, GC,
    GU. Every base has at most one partner.

    With a `stem_weight` the probability is first moved by what the loop types say of both bases
    (see `agreement.supported`).

    The threshold is lower for a sequence that the probabilities are in doubt of: the best one for
    F1 is half the F1 that can be reached (Lipton et al. 2014, Optimal thresholding of classifiers
    to maximize F1 measure, theorem 1), and that is less where there is doubt. It is multiplied by
    1 - doubt_discount * doubt (see `rna.doubt`).

    Methods
    -------
    * greedy: the highest score first, as long as both bases are free; of equal scores the one with
      the smaller i, then the smaller j;
    * matching: the largest sum of (score - threshold); pairs may cross (pseudoknots);
    * nested: the largest sum of (score - threshold) without crossing pairs: the maximum expected
      accuracy of Hamada et al. (2009), whose gamma is 1 / threshold - 1.

    Attributes
    ----------
    method : {"greedy", "matching", "nested"}
    threshold : float
        In [0, 1].
    canonical_only : bool
        Whether AU, GC and GU are the only pairs.
    noncanonical_penalty : float
        Probability taken from other pairs, 0 or more.
    doubt_discount : float
        In [0, 1]; 0 = one threshold for all sequences.
    stem_weight : float
        0 or more; 0 = the loop types have no say.
    """

    method: Method = "nested"
    threshold: float = 0.5
    canonical_only: bool = False
    noncanonical_penalty: float = 0.0
    doubt_discount: float = 0.0
    stem_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(
                f"method: {self.method!r} (expected one of {', '.join(get_args(Method))})"
            )
        for name in ("threshold", "doubt_discount"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}: expected a number in [0, 1], got {value}")
        for name in ("noncanonical_penalty", "stem_weight"):
            if not 0 <= (value := getattr(self, name)) < np.inf:
                raise ValueError(f"{name}: expected 0 or more, got {value}")

    def to_dict(self) -> dict[str, Any]:
        """All settings, for the description of a model."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> "Decoder":
        """The decoder that `to_dict` described.

        Raises
        ------
        ValueError
            If a setting is unknown or out of its range.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(settings) - known):
            raise ValueError(f"decoder: unknown setting {unknown[0]!r} (known: {sorted(known)})")
        return cls(**settings)

    def at(self, threshold: float) -> "Decoder":
        """The decoder that takes this very threshold for all sequences; itself if it is its own."""
        if threshold == self.threshold:
            return self
        return replace(self, threshold=threshold, doubt_discount=0.0)

    def decode(
        self,
        probabilities: NDArray[np.floating],
        tokens: NDArray[np.integer],
        stems: NDArray[np.floating] | None = None,
    ) -> NDArray[np.int32]:
        """Pairs of one sequence.

        Parameters
        ----------
        probabilities : numpy.ndarray of shape (L, L)
            Of each pair; symmetric, only the upper triangle is read.
        tokens : numpy.ndarray of shape (L,)
            Vocabulary ids; nothing pairs with padding or another special token.
        stems : numpy.ndarray of shape (L,), optional
            Probability of each base to be in a stem; needed with a `stem_weight`.

        Returns
        -------
        numpy.ndarray of shape (n_pairs, 2), int32
            0-based positions in `tokens`, i < j, sorted by i.

        Raises
        ------
        ValueError
            If the shapes differ, a probability is not a finite number, or `stems` are needed.
        """
        return self.decode_each(probabilities, tokens, [self.threshold], stems)[0]

    def decode_each(
        self,
        probabilities: NDArray[np.floating],
        tokens: NDArray[np.integer],
        thresholds: Sequence[float],
        stems: NDArray[np.floating] | None = None,
    ) -> list[NDArray[np.int32]]:
        """Pairs of one sequence for each of several thresholds, for little more than one.

        Greedy choices depend on higher scores only, so one pass at the lowest threshold holds all
        answers. Otherwise the value of a structure is a straight line over the threshold: one that
        is best at two thresholds is best at all between, and only the changes have to be found.

        Parameters
        ----------
        probabilities, tokens, stems
            As for `decode`.
        thresholds : sequence of float
            In place of the decoder's own, in any order; lowered like it by `doubt_discount`.

        Returns
        -------
        list of numpy.ndarray
            As from `decode`, in the order of `thresholds`; equal answers may be one array.
        """
        _check(probabilities, tokens)
        lowered = self.lowering(probabilities, tokens)
        thresholds = [t * lowered for t in thresholds]
        distinct = sorted(set(thresholds))
        cells = self._cells(self._scores(probabilities, stems), tokens, distinct[0])
        if self.method == "greedy":
            picked = _greedy(cells)
            found = [picked[cells.score[picked] >= t] for t in distinct]
        else:
            found = _filled(lambda t: self._best(cells, t), distinct)
        pairs = {id(f): _pairs(cells, f) for f in found}
        answers = {t: pairs[id(f)] for t, f in zip(distinct, found, strict=True)}
        return [answers[t] for t in thresholds]

    def lowering(self, probabilities: NDArray[np.floating], tokens: NDArray[np.integer]) -> float:
        """What the threshold is multiplied by for one sequence; arguments as for `decode`."""
        if not self.doubt_discount:
            return 1.0
        return 1.0 - self.doubt_discount * doubt_of_bases(probabilities, tokens)

    def _best(self, cells: _Cells, threshold: float) -> NDArray[np.int64]:
        """Indices of the cells in the best structure at a threshold."""
        kept = np.flatnonzero(cells.score >= threshold)
        first, second = cells.first[kept], cells.second[kept]
        if _all_fit(first, second, nested=self.method == "nested"):
            return kept
        weight = cells.score[kept] - threshold + TIE
        best = best_nested if self.method == "nested" else best_matching
        return kept[best(first, second, weight)]

    def _scores(
        self, probabilities: NDArray[np.floating], stems: NDArray[np.floating] | None
    ) -> NDArray[np.floating]:
        if not self.stem_weight:
            return probabilities
        if stems is None or stems.shape != probabilities.shape[:1]:
            given = "none" if stems is None else f"shape {stems.shape}"
            raise ValueError(
                f"stems: expected one probability for each of {len(probabilities)} bases, as "
                f"stem_weight is {self.stem_weight:g}; got {given}"
            )
        return supported(probabilities, stems, self.stem_weight)

    def _cells(
        self, probabilities: NDArray[np.floating], tokens: NDArray[np.integer], lowest: float
    ) -> _Cells:
        """Pairs with a score of at least `lowest` that may be chosen."""
        base = tokens >= A
        first, second = np.nonzero(probabilities >= lowest)
        kept = (second - first > MIN_LOOP) & base[first] & base[second]
        first, second = first[kept], second[kept]
        score = probabilities[first, second].astype(np.float64)
        other = ~is_canonical(tokens[first], tokens[second])
        score[other] -= np.inf if self.canonical_only else self.noncanonical_penalty
        kept = score >= lowest
        return _Cells(first[kept], second[kept], score[kept])


def doubt_of_bases(probabilities: NDArray[np.floating], tokens: NDArray[np.integer]) -> float:
    """The doubt (see `rna.doubt`) of the pairs of bases alone; arguments as for `decode`."""
    base = tokens >= A
    pairs = np.triu(probabilities, 1)[np.ix_(base, base)]
    return float(doubt(pairs.astype(np.float64)))


def _check(probabilities: NDArray[np.floating], tokens: NDArray[np.integer]) -> None:
    """Refuse probabilities that do not fit the tokens, or are not finite between bases."""
    length, base = tokens.size, tokens >= A
    if probabilities.shape != (length, length):
        raise ValueError(
            f"probabilities: expected shape {(length, length)}, one row and one column for "
            f"each token, got {probabilities.shape}"
        )
    if not np.isfinite(probabilities[np.ix_(base, base)]).all():
        raise ValueError("probabilities: expected finite numbers")


def _greedy(cells: _Cells) -> NDArray[np.int64]:
    """Indices of the cells that are taken, highest score first."""
    # cells are sorted by position, and a stable sort keeps that among equal scores
    order = np.argsort(-cells.score, kind="stable")
    busy: set[int] = set()
    taken = []
    ends = zip(cells.first[order].tolist(), cells.second[order].tolist(), strict=True)
    for index, (i, j) in zip(order.tolist(), ends, strict=True):
        if i not in busy and j not in busy:
            busy |= {i, j}
            taken.append(index)
    return np.array(taken, np.int64)


def _all_fit(first: NDArray[np.int64], second: NDArray[np.int64], nested: bool) -> bool:
    """Whether all pairs together are a structure, as is common at high thresholds."""
    ends = np.sort(np.concatenate([first, second]))
    if (ends[1:] == ends[:-1]).any():
        return False
    partner = dict(zip(first.tolist(), second.tolist(), strict=True))
    still_open = []
    for position in ends.tolist() if nested else ():
        if position in partner:
            still_open.append(partner[position])
        elif still_open.pop() != position:
            return False
    return True


def _filled(
    best: Callable[[float], NDArray[np.int64]], thresholds: Sequence[float]
) -> list[NDArray[np.int64]]:
    """The answer of `best` at each of the ascending thresholds, asked for where it changes."""
    found: dict[int, NDArray[np.int64]] = {}
    ends = [(0, len(thresholds) - 1)]
    while ends:
        low, high = ends.pop()
        for end in (low, high):
            if end not in found:
                found[end] = best(thresholds[end])
        if np.array_equal(found[low], found[high]):
            found.update(dict.fromkeys(range(low, high + 1), found[low]))
        elif high - low > 1:
            middle = (low + high) // 2
            ends += [(low, middle), (middle, high)]
    return [found[i] for i in range(len(thresholds))]


def _pairs(cells: _Cells, picked: NDArray[np.int64]) -> NDArray[np.int32]:
    """Positions of the picked cells, sorted."""
    picked = np.sort(picked)
    return np.stack([cells.first[picked], cells.second[picked]], axis=1).astype(np.int32)
