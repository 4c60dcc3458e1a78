"""The RNA table on disk: records to rows and back, and one full reading that checks every row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from priorwise.errors import BadInput
from priorwise.rna.alphabet import encode
from priorwise.rna.checks import check_schema, checked_record
from priorwise.rna.records import RnaRecord
from priorwise.rna.schema import PARTITIONS, RNA_SCHEMA, SCHEMA_NAME, TABLE
from priorwise.rna.structure import dot_bracket, is_canonical
from priorwise.store.addresses import is_remote
from priorwise.store.table_check import check_content, check_files
from priorwise.store.tables import ContentDigest, PinnedTable, open_pinned, scan

_BATCH_ROWS = 4096


@dataclass(frozen=True)
class RnaFacts:
    """What one full reading of a table found.

    Attributes
    ----------
    uri, version, digest : str, int, str
        Where the rows are and a digest of every value in them.
    rows, labelled : dict of partition -> int
        Row counts; `labelled` counts rows whose structure is known.
    pairs, non_canonical : dict of partition -> int
        Base pairs, and those among them that are neither Watson-Crick nor G-U.
    families : dict of (partition, family) -> int
        Row counts.
    longest : dict of partition -> int
        Bases of the longest sequence.
    source : str
        synthetic or files; empty if the table does not say.
    """

    schema: ClassVar[str] = SCHEMA_NAME

    uri: str
    version: int
    digest: str
    rows: dict[str, int] = field(default_factory=dict)
    labelled: dict[str, int] = field(default_factory=dict)
    pairs: dict[str, int] = field(default_factory=dict)
    non_canonical: dict[str, int] = field(default_factory=dict)
    families: dict[tuple[str, str], int] = field(default_factory=dict)
    longest: dict[str, int] = field(default_factory=dict)
    source: str = ""

    @property
    def partitions(self) -> list[str]:
        """Partitions that have rows, in the order of `PARTITIONS`."""
        return [name for name in PARTITIONS if self.rows.get(name)]

    def n_rows(self, partition: str | None = None) -> int:
        """Rows of one partition, or of all."""
        return _of(self.rows, partition)

    def n_labelled(self, partition: str | None = None) -> int:
        """Rows with a known structure, of one partition or of all."""
        return _of(self.labelled, partition)

    def n_pairs(self, partition: str | None = None) -> int:
        """Base pairs of one partition, or of all."""
        return _of(self.pairs, partition)

    def non_canonical_share(self, partition: str | None = None) -> float:
        """Non-canonical among the base pairs; a fraction in [0, 1]."""
        pairs = self.n_pairs(partition)
        return _of(self.non_canonical, partition) / pairs if pairs else 0.0

    def family_counts(self, partition: str) -> dict[str, int]:
        """Rows of each family of a partition, in alphabetical order."""
        return {f: n for (p, f), n in sorted(self.families.items()) if p == partition}

    def profile(self) -> dict[str, int]:
        """Counts that describe the table as a dataset input of a run."""
        whole = {
            "rows": self.n_rows(),
            "labelled": self.n_labelled(),
            "pairs": self.n_pairs(),
            "longest": max(self.longest.values(), default=0),
        }
        return whole | {f"rows_{name}": self.rows[name] for name in self.partitions}

    def require(self, partition: str, *, what: str, pairs: bool = False) -> None:
        """Refuse a table that lacks a partition, or base pairs in it.

        Raises
        ------
        BadInput
            Saying what the partition is needed for.
        """
        if not self.n_rows(partition):
            there = ", ".join(f"{name} {self.rows[name]}" for name in self.partitions)
            raise BadInput(f"{self.uri}: no rows of partition {partition} ({what}; has {there})")
        if pairs and not self.n_pairs(partition):
            raise BadInput(
                f"{self.uri}: none of the {self.n_rows(partition)} rows of partition {partition} "
                f"has a base pair ({what} needs structures)"
            )


def _of(counts: dict[str, int], partition: str | None) -> int:
    return sum(n for name, n in counts.items() if partition in (None, name))


def table_uri(data: str) -> str:
    """Address of the table: `data` is the folder that holds it, or the table itself.

    Raises
    ------
    BadInput
        If there is no such table.
    """
    if is_remote(data):
        place = data.rstrip("/")
        return place if place.rpartition("/")[2] == TABLE else f"{place}/{TABLE}"
    path = Path(data)
    if (path / "_versions").is_dir():
        return data
    if not path.exists():
        raise BadInput(f"{data}: no such folder (expected one that holds the table {TABLE})")
    if not (path / TABLE).exists():
        raise BadInput(f"{data}: holds no table {TABLE} (rna_prepare makes one)")
    return str(path / TABLE)


def batches(records: Iterable[RnaRecord]) -> Iterator[pa.RecordBatch]:
    """Rows of the table, some thousand at a time."""
    remaining = iter(records)
    while part := list(islice(remaining, _BATCH_ROWS)):
        yield pa.record_batch(
            [
                pa.array([r.id for r in part], pa.string()),
                pa.array([r.sequence for r in part], pa.string()),
                pa.array([_brackets(r) for r in part], pa.string()),
                pa.array(
                    [None if r.pairs is None else r.pairs.tolist() for r in part],
                    RNA_SCHEMA.field("pairs").type,
                ),
                pa.array([r.family for r in part], pa.string()),
                pa.array([r.partition for r in part], pa.string()),
            ],
            schema=RNA_SCHEMA,
        )


def _brackets(record: RnaRecord) -> str | None:
    if record.pairs is None:
        return None
    try:
        return dot_bracket(len(record.sequence), record.pairs)
    except ValueError:  # a base with several partners: brackets cannot say that
        return None


_inspected: dict[tuple[str, int, str], RnaFacts] = {}


def inspect(data: str, version: int | None = None) -> tuple[PinnedTable, RnaFacts]:
    """Open a table at one version and read it whole once: schema, every row, digest, counts.

    A pinned version never changes, so a second call in the same process reads nothing. That its
    files are those that were written is looked at each time (see `store.table_check`).

    Raises
    ------
    BadInput
        Naming the file, the column and the first bad row.
    """
    pinned = open_pinned(table_uri(data), version)
    key = (pinned.uri, pinned.version, pinned.written)
    check_files(pinned)
    if key not in _inspected:
        facts = _read_whole(pinned)
        check_content(pinned, facts.digest)
        _inspected[key] = facts
    return pinned, _inspected[key]


def _read_whole(pinned: PinnedTable) -> RnaFacts:
    check_schema(pinned.schema, pinned.uri)
    digest = ContentDigest(pinned.schema)
    counts: dict[str, Counter[Any]] = {
        name: Counter() for name in ("rows", "labelled", "pairs", "non_canonical", "families")
    }
    longest: dict[str, int] = {}
    row_of_id: dict[str, int] = {}
    first = 0
    for batch in scan(pinned):
        digest.update(batch)
        for row, cells in enumerate(batch.to_pylist(), start=first):
            record = checked_record(cells, f"{pinned.uri}: row {row}")
            if record.id in row_of_id:
                raise BadInput(
                    f"{pinned.uri}: row {row}: column id: {record.id!r} is that of row "
                    f"{row_of_id[record.id]}, too (expected each once)"
                )
            row_of_id[record.id] = row
            _count(record, counts)
            length = len(record.sequence)
            longest[record.partition] = max(length, longest.get(record.partition, 0))
        first += batch.num_rows
    if first == 0:
        raise BadInput(f"{pinned.uri}: the table has no rows")
    source = (pinned.schema.metadata or {}).get(b"source", b"").decode()
    return RnaFacts(
        pinned.uri,
        pinned.version,
        digest.hexdigest(),
        **{name: dict(counter) for name, counter in counts.items()},
        longest=longest,
        source=source,
    )


def _count(record: RnaRecord, counts: dict[str, Counter[Any]]) -> None:
    counts["rows"][record.partition] += 1
    counts["families"][record.partition, record.family] += 1
    if record.pairs is not None:
        counts["labelled"][record.partition] += 1
        tokens = encode(record.sequence)
        canonical = is_canonical(tokens[record.pairs[:, 0]], tokens[record.pairs[:, 1]])
        counts["pairs"][record.partition] += len(record.pairs)
        counts["non_canonical"][record.partition] += int((~canonical).sum())
