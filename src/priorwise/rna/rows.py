"""Sequences and pairs in memory, stored ragged: NumPy only."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from priorwise.rna.alphabet import decode, encode
from priorwise.rna.records import RnaRecord
from priorwise.rna.structure import UNKNOWN, loop_types

_NO_PAIRS = np.zeros((0, 2), np.int32)


@dataclass(frozen=True)
class RnaRows:
    """Rows of an RNA table.

    Attributes
    ----------
    ids, families, partitions : list of str, n_rows long
    tokens : numpy.ndarray of shape (total,), uint8
        Ids of the bases of all rows, one row after the other, without special tokens.
    offsets : numpy.ndarray of shape (n_rows + 1,), int64
        Row k has the tokens offsets[k] to offsets[k + 1].
    pairs : numpy.ndarray of shape (n_pairs, 2), int32
        Pairs of all rows, one row after the other; positions within the row's own sequence.
    pair_offsets : numpy.ndarray of shape (n_rows + 1,), int64
    loops : numpy.ndarray of shape (total,), int8
        Loop type of each base; -100 where the row has no structure.
    labelled : numpy.ndarray of shape (n_rows,), bool
        Whether the structure is known. A known structure may have no pairs.
    """

    ids: list[str]
    tokens: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int32]
    pair_offsets: npt.NDArray[np.int64]
    loops: npt.NDArray[np.int8]
    labelled: npt.NDArray[np.bool_]
    families: list[str]
    partitions: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def build(cls, records: Iterable[RnaRecord]) -> "RnaRows":
        """Pack checked records and derive their loop types."""
        records = list(records)
        tokens = [encode(r.sequence) for r in records]
        pairs = [_NO_PAIRS if r.pairs is None else r.pairs for r in records]
        loops = [
            np.full(len(r.sequence), UNKNOWN, np.int8)
            if r.pairs is None
            else loop_types(len(r.sequence), r.pairs)
            for r in records
        ]
        return cls(
            ids=[r.id for r in records],
            tokens=_joined(tokens, np.zeros(0, np.uint8)),
            offsets=_offsets(tokens),
            pairs=_joined(pairs, _NO_PAIRS),
            pair_offsets=_offsets(pairs),
            loops=_joined(loops, np.zeros(0, np.int8)),
            labelled=np.array([r.pairs is not None for r in records], bool),
            families=[r.family for r in records],
            partitions=[r.partition for r in records],
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Bases of each row, shape (n_rows,)."""
        return np.diff(self.offsets)

    @property
    def n_pairs(self) -> npt.NDArray[np.int64]:
        """Pairs of each row, shape (n_rows,)."""
        return np.diff(self.pair_offsets)

    def tokens_of_row(self, k: int) -> npt.NDArray[np.uint8]:
        """Ids of the bases of row k, shape (length,)."""
        return self.tokens[self.offsets[k] : self.offsets[k + 1]]

    def sequence(self, k: int) -> str:
        """Letters of row k."""
        return decode(self.tokens_of_row(k))

    def sequences(self) -> list[str]:
        """Letters of all rows."""
        return [self.sequence(k) for k in range(len(self))]

    def pairs_of_row(self, k: int) -> npt.NDArray[np.int32]:
        """Pairs of row k, shape (n_pairs, 2); none if the structure is not known."""
        return self.pairs[self.pair_offsets[k] : self.pair_offsets[k + 1]]

    def loops_of_row(self, k: int) -> npt.NDArray[np.int8]:
        """Loop types of row k, shape (length,)."""
        return self.loops[self.offsets[k] : self.offsets[k + 1]]

    def take(self, indices: npt.ArrayLike) -> "RnaRows":
        """The rows `indices` (numbers, or one bool for each row), in that order."""
        index = np.asarray(indices)
        if index.dtype == bool:
            if len(index) != len(self):
                raise ValueError(f"{len(index)} flags for {len(self)} rows (expected as many)")
            index = np.flatnonzero(index)
        index = index.astype(np.int64)
        bases, offsets = _ragged(self.offsets, index)
        pairs, pair_offsets = _ragged(self.pair_offsets, index)
        chosen = index.tolist()
        return RnaRows(
            ids=[self.ids[k] for k in chosen],
            tokens=self.tokens[bases],
            offsets=offsets,
            pairs=self.pairs[pairs],
            pair_offsets=pair_offsets,
            loops=self.loops[bases],
            labelled=self.labelled[index],
            families=[self.families[k] for k in chosen],
            partitions=[self.partitions[k] for k in chosen],
        )

    def of_partition(self, partition: str) -> "RnaRows":
        """The rows of one partition, in table order."""
        return self.take(np.array([p == partition for p in self.partitions], bool))

    def records(self) -> list[RnaRecord]:
        """The rows as records again."""
        return [
            RnaRecord(
                self.ids[k],
                self.sequence(k),
                self.pairs_of_row(k) if self.labelled[k] else None,
                self.families[k],
                self.partitions[k],
            )
            for k in range(len(self))
        ]


def _offsets(parts: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)


def _joined(parts: Sequence[npt.NDArray], empty: npt.NDArray) -> npt.NDArray:
    return np.concatenate(parts) if parts else empty


def _ragged(
    offsets: npt.NDArray[np.int64], index: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the items of the rows `index` lie, and the offsets of these rows alone."""
    sizes = offsets[index + 1] - offsets[index]
    ends = np.cumsum(sizes)
    places = np.arange(int(sizes.sum())) + np.repeat(offsets[index] - (ends - sizes), sizes)
    return places, np.concatenate([[0], ends]).astype(np.int64)
