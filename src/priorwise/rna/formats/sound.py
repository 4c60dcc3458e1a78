"""From a record as it stands in a file to one that can be used, or to the reason why not."""

from priorwise.rna.alphabet import normalise
from priorwise.rna.formats.raw import (
    BRACKETS,
    BROKEN,
    EMPTY,
    LENGTHS,
    LETTER,
    PAIR,
    PARTITION,
    BadRow,
    RawRow,
)
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import CUT, PARTITIONS, TEST, TRAINING, VALIDATION
from priorwise.rna.structure import Pairs, pairs_of, sorted_pairs

#: plain words for the partitions
_WORDS = {
    **{"train": TRAINING, "training": TRAINING, "test": TEST},
    **{"validation": VALIDATION, "valid": VALIDATION, "val": VALIDATION},
}


def sound(raw: RawRow) -> RnaRecord | BadRow:
    """Check one record.

    Lower case and T are read; a base may have several partners if pairs are listed. The id is not
    compared with others here.
    """

    def bad(reason: str, detail: object) -> BadRow:
        return BadRow(raw.file, raw.line, raw.id, reason, str(detail))

    if not raw.sequence:
        return bad(EMPTY, "no base (expected at least one)")
    try:
        sequence = normalise(raw.sequence)
    except ValueError as error:
        return bad(LETTER, error)
    pairs: Pairs | None = None
    if raw.structure is not None:
        if len(raw.structure) != len(sequence):
            found = f"{len(sequence)} bases, {len(raw.structure)} characters of structure"
            return bad(LENGTHS, f"{found} (expected as many)")
        try:
            pairs = pairs_of(raw.structure)
        except ValueError as error:
            return bad(BRACKETS, error)
    if raw.pairs is not None:
        for i, j in raw.pairs:
            if not (1 <= min(i, j) < max(i, j) <= len(sequence)):
                found = f"{i}-{j} in a sequence of {len(sequence)}"
                return bad(PAIR, f"{found} (expected two bases of it, counted from 1)")
        listed = sorted_pairs(sorted({(min(p) - 1, max(p) - 1) for p in raw.pairs}))
        if pairs is not None and pairs.tolist() != listed.tolist():
            return bad(BROKEN, "structure and base_pairs say different things (expected the same)")
        pairs = listed
    partition = _WORDS.get(raw.partition.lower(), raw.partition.upper())
    if partition and partition not in PARTITIONS:
        known = ", ".join(name for name in PARTITIONS if name != CUT)
        return bad(PARTITION, f"{raw.partition!r} (expected one of {known})")
    return RnaRecord(raw.id, sequence, pairs, raw.family, partition)
