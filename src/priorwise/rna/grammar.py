"""Synthetic sequences with known structures, from a stochastic grammar of stems and loops.

**Synthetic everywhere means this**: no molecule has these sequences. They are there to try the
pipeline without any data. A network can learn them because pairs follow from the sequence: the two
sides of a stem are complementary (A-U, G-C, and G-U now and then), and loops are poor in U and G,
so that their bases rarely find a partner.

::

    molecule -> free (arm free)+                       arms side by side
              | free stem( free (arm free)+ ) free     arms in a multiloop
    arm      -> stem( hairpin )
              | stem( free arm ) | stem( arm free )    bulge
              | stem( free arm free )                  interior loop

The families differ in the number of arms, in what interrupts them, in the bases of their stems and
in which parts grow. Those of NEW have shapes that the training families do not have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import TEST, TRAINING, UNSEEN, VALIDATION
from priorwise.rna.structure import CANONICAL, MIN_LOOP, pairs_of

#: counts up whenever the same parameters give other rows
FORMAT = 1

SHORTEST_STEM, LONGEST_STEM = 4, 10
LOOP_BASES = {"A": 0.62, "C": 0.22, "U": 0.08, "G": 0.08}
#: of the pairs that are neither G-C nor C-G
WOBBLE = 0.15
#: an arm is interrupted at most this often
INTERRUPTIONS = 2


@dataclass(frozen=True)
class Family:
    """What the sequences of one synthetic family have in common.

    Attributes
    ----------
    arms : int
        Arms side by side or, if `closed`, in a multiloop.
    closed : bool
        Whether a stem closes around the arms.
    bulge, interior : float
        Chance that an arm goes on beyond a bulge, or an interior loop, each time.
    gc : float
        Share of G-C among the pairs.
    stem, hairpin, free : float
        Weights with which these parts grow.
    """

    arms: int
    closed: bool = False
    bulge: float = 0.0
    interior: float = 0.0
    gc: float = 0.6
    stem: float = 1.0
    hairpin: float = 1.0
    free: float = 1.0


TRAINED = {
    "synthetic-hairpin": Family(1, gc=0.55, stem=3.0, hairpin=1.5),
    "synthetic-bulged": Family(1, bulge=0.8, gc=0.6, stem=2.0),
    "synthetic-interior": Family(1, interior=0.8, gc=0.5, stem=2.0, free=1.5),
    "synthetic-tandem": Family(2, bulge=0.2, interior=0.2, gc=0.65),
    "synthetic-fork": Family(2, closed=True, gc=0.6, stem=1.5),
}
UNTRAINED = {
    "synthetic-triple": Family(3, gc=0.55, stem=1.5, hairpin=0.5),
    "synthetic-trident": Family(3, closed=True, gc=0.65),
    "synthetic-ladder": Family(1, bulge=0.5, interior=0.5, gc=0.7, hairpin=2.5, free=2.0),
}
FAMILIES = TRAINED | UNTRAINED
#: bases that the largest family needs: four stems, three hairpins, no free base
LEAST_LENGTH = 4 * 2 * SHORTEST_STEM + 3 * MIN_LOOP


@dataclass
class _Part:
    """A stretch of a molecule that can grow."""

    kind: Literal["stem", "hairpin", "free"]
    size: int
    inside: list["_Part"] = field(default_factory=list)

    def text(self) -> str:
        inner = "".join(part.text() for part in self.inside)
        if self.kind == "stem":
            return "(" * self.size + inner + ")" * self.size
        return "." * self.size

    def walk(self) -> Iterator["_Part"]:
        yield self
        for part in self.inside:
            yield from part.walk()


def synthetic_records(
    sizes: dict[str, int], min_length: int, max_length: int, seed: int
) -> list[RnaRecord]:
    """Records of all partitions; those of NEW are of other families than the rest.

    Parameters
    ----------
    sizes : dict of partition -> int
        Sequences of TR0, VL0, TS0 and NEW. The size of one never changes the rows of another.
    min_length, max_length : int
        Bases of a sequence; `max_length` at least `LEAST_LENGTH`.
    seed : int
    """
    records = []
    for stream, partition in enumerate((TRAINING, VALIDATION, TEST, UNSEEN)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream,)))
        families = list(UNTRAINED if partition == UNSEEN else TRAINED)
        for number in range(sizes[partition]):
            family = families[int(rng.integers(len(families)))]
            sequence, structure = molecule(FAMILIES[family], min_length, max_length, rng)
            records.append(
                RnaRecord(
                    f"synthetic-{partition}-{number + 1:06d}",
                    sequence,
                    pairs_of(structure),
                    family,
                    partition,
                )
            )
    return records


def molecule(
    family: Family, min_length: int, max_length: int, rng: np.random.Generator
) -> tuple[str, str]:
    """Draw a sequence and its structure in brackets; neither is shorter than the family allows."""
    parts = _shape(family, max_length, rng)
    size = sum(2 * p.size if p.kind == "stem" else p.size for p in _all(parts))
    _grow(parts, int(rng.integers(max(size, min_length), max_length + 1)) - size, family, rng)
    structure = "".join(part.text() for part in parts)
    return _letters(structure, family, rng), structure


def _shape(family: Family, max_length: int, rng: np.random.Generator) -> list[_Part]:
    """Derive a molecule of the least size."""
    # an interruption needs another stem and a free base or two
    spare = max_length - (family.arms + family.closed) * 2 * SHORTEST_STEM - family.arms * MIN_LOOP
    parts = [_Part("free", 0)]
    for _ in range(family.arms):
        arm = _Part("stem", SHORTEST_STEM, [_Part("hairpin", MIN_LOOP)])
        for _ in range(INTERRUPTIONS):
            kind = rng.random()
            if kind >= family.bulge + family.interior or spare < 2 * SHORTEST_STEM + 2:
                break
            spare -= 2 * SHORTEST_STEM + 2
            left = kind < family.bulge and rng.random() < 0.5
            both = kind >= family.bulge
            before = [_Part("free", 1)] if left or both else []
            after = [_Part("free", 1)] if not left or both else []
            arm = _Part("stem", SHORTEST_STEM, [*before, arm, *after])
        parts += [arm, _Part("free", 0)]
    if family.closed:
        return [_Part("free", 0), _Part("stem", SHORTEST_STEM, parts), _Part("free", 0)]
    return parts


def _all(parts: Sequence[_Part]) -> list[_Part]:
    return [inner for part in parts for inner in part.walk()]


def _grow(parts: list[_Part], bases: int, family: Family, rng: np.random.Generator) -> None:
    """Share out so many more bases among the parts."""
    growing = _all(parts)
    weights = np.array([getattr(family, part.kind) for part in growing])
    weights = weights * rng.gamma(1.0, size=len(growing))  # other parts in every molecule
    while bases:
        open_ = np.array(
            [p.kind != "stem" or (p.size < LONGEST_STEM and bases > 1) for p in growing]
        )
        chances = weights * open_
        part = growing[int(rng.choice(len(growing), p=chances / chances.sum()))]
        part.size += 1
        bases -= 2 if part.kind == "stem" else 1


def _letters(structure: str, family: Family, rng: np.random.Generator) -> str:
    """Draw bases: pairs complementary, the rest as in loops."""
    text = list(rng.choice(list(LOOP_BASES), size=len(structure), p=list(LOOP_BASES.values())))
    pairs = pairs_of(structure).tolist()
    for i, j in pairs:
        strong = rng.random() < family.gc
        one, other = ("G", "C") if strong else ("GA"[int(rng.random() >= WOBBLE)], "U")
        text[i], text[j] = (one, other) if rng.random() < 0.5 else (other, one)
    # a stem ends where the structure says: two free bases beside it do not pair
    beside = {(i + d, j - d) for i, j in pairs for d in (1, -1)}
    ends = [
        (i, j)
        for i, j in sorted(beside)
        if 0 <= i < j < len(text) and structure[i] == structure[j] == "."
    ]
    while clashes := [(i, j) for i, j in ends if text[i] + text[j] in CANONICAL]:
        for i, j in clashes:
            text[i] = text[j] = "A"
    return "".join(text)
