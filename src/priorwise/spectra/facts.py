"""Opening a spectra table: one full reading checks it, digests it and counts its rows."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from priorwise.errors import BadInput
from priorwise.spectra.checks import check_rows, check_schema, settings_matrix
from priorwise.spectra.schema import POLARITIES, SCHEMA_NAME, polarity_of
from priorwise.store.addresses import is_remote
from priorwise.store.table_check import check_content, check_files
from priorwise.store.tables import ContentDigest, PinnedTable, open_pinned, scan

TABLE_NAMES = ("train_data", "validation_data", "test_data")


@dataclass(frozen=True)
class TableFacts:
    """What one full reading of a table found.

    Attributes
    ----------
    uri, version, digest : str, int, str
        Where the rows are and a digest of every value in them.
    rows, labelled : dict of (polarity, dataset_id) -> int
        Row counts; `labelled` counts s = 1.
    """

    schema: ClassVar[str] = SCHEMA_NAME

    uri: str
    version: int
    digest: str
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    labelled: dict[tuple[str, str], int] = field(default_factory=dict)

    def n_rows(self, polarity: str | None = None) -> int:
        """Rows of one polarity, or of both."""
        return _total(self.rows, polarity)

    def n_labelled(self, polarity: str | None = None) -> int:
        """Labelled rows of one polarity, or of both."""
        return _total(self.labelled, polarity)

    def profile(self) -> dict[str, int]:
        """Counts that describe the table as a dataset input of a run."""
        return {
            "rows": self.n_rows(),
            "labelled": self.n_labelled(),
            "positive_mode_rows": self.n_rows("positive"),
            "negative_mode_rows": self.n_rows("negative"),
        }

    def label_rate(self, polarity: str) -> float:
        """s: labelled fraction of all rows of `polarity`; a fraction in [0, 1]."""
        rows = self.n_rows(polarity)
        return self.n_labelled(polarity) / rows if rows else 0.0

    def counts_by_dataset(self, polarity: str) -> tuple[list[int], list[int]]:
        """Rows and labelled rows of one polarity, per dataset_id in alphabetical order."""
        keys = sorted(key for key in self.rows if key[0] == polarity)
        return [self.rows[key] for key in keys], [self.labelled.get(key, 0) for key in keys]

    def require(self, polarity: str, *, what: str, unlabelled: bool = True) -> None:
        """Refuse a table on which PU learning cannot be done for `polarity`.

        Raises
        ------
        BadInput
            Without rows, without a labelled row, or (if asked) without an unlabelled row.
        """
        rows, labelled = self.n_rows(polarity), self.n_labelled(polarity)
        if rows == 0:
            raise BadInput(f"{self.uri}: no rows of {polarity} polarity ({what} needs some)")
        if labelled == 0:
            raise BadInput(
                f"{self.uri}: none of the {rows} rows of {polarity} polarity is labelled "
                f"({what} needs at least one with label 1)"
            )
        if unlabelled and labelled == rows:
            raise BadInput(
                f"{self.uri}: all {rows} rows of {polarity} polarity are labelled "
                f"({what} needs at least one with label 0)"
            )

    def require_other_than(self, other: "TableFacts", what: str, called: str = "training") -> None:
        """Refuse to judge a model on the rows it was trained, or chosen, on."""
        if self.digest == other.digest:
            raise BadInput(
                f"{self.uri}: is the {called} table, too (expected other rows for {what})"
            )


def _total(counts: dict[tuple[str, str], int], polarity: str | None) -> int:
    return sum(n for (mode, _), n in counts.items() if polarity in (None, mode))


def table_uri(data: str, table: str) -> str:
    """Address of a table: `data` is the folder that holds it, the table itself, or its sibling.

    Raises
    ------
    BadInput
        If there is no such table; another one is never taken in its place.
    """
    if is_remote(data):
        folder, _, name = data.rstrip("/").rpartition("/")
        return f"{folder if name in TABLE_NAMES else data.rstrip('/')}/{table}"
    path = Path(data)
    if (path / "_versions").is_dir():
        if path.name == table or path.name not in TABLE_NAMES:
            return data
        path = path.parent
    if not path.exists():
        raise BadInput(f"{data}: no such folder (expected one that holds the table {table})")
    if not (path / table).exists():
        raise BadInput(f"{data}: holds no table {table}")
    return str(path / table)


_inspected: dict[tuple[str, int, str], TableFacts] = {}


def inspect(data: str, table: str, version: int | None = None) -> tuple[PinnedTable, TableFacts]:
    """Open a table at one version and read it whole once: schema, every row, digest, counts.

    A pinned version never changes, so a second call in the same process reads nothing. That its
    files are those that were written is looked at each time (see `store.table_check`).

    Raises
    ------
    BadInput
        Naming the file, the column and the first bad row.
    """
    pinned = open_pinned(table_uri(data, table), version)
    key = (pinned.uri, pinned.version, pinned.written)
    check_files(pinned)
    if key not in _inspected:
        facts = _read_whole(pinned)
        check_content(pinned, facts.digest)
        _inspected[key] = facts
    return pinned, _inspected[key]


def _read_whole(pinned: PinnedTable) -> TableFacts:
    check_schema(pinned.schema, pinned.uri)
    digest = ContentDigest(pinned.schema)
    rows: Counter[tuple[str, str]] = Counter()
    labelled: Counter[tuple[str, str]] = Counter()
    first = 0
    for batch in scan(pinned):
        check_rows(batch, pinned.uri, first)
        digest.update(batch)
        positive = polarity_of(settings_matrix(batch))
        dataset_ids = batch.column("dataset_id").to_pylist()
        label = batch.column("label").to_numpy(zero_copy_only=False)
        keys = [(POLARITIES[0 if p else 1], d) for p, d in zip(positive, dataset_ids, strict=True)]
        rows.update(keys)
        labelled.update(k for k, s in zip(keys, label, strict=True) if s == 1)
        first += batch.num_rows
    if first == 0:
        raise BadInput(f"{pinned.uri}: the table has no rows")
    return TableFacts(pinned.uri, pinned.version, digest.hexdigest(), dict(rows), dict(labelled))
