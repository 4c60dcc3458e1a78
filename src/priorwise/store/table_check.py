"""Whether a pinned table is the one that was written: every file of it, before anything is read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lance

from priorwise.errors import BadInput
from priorwise.store.addresses import is_remote
from priorwise.store.file_digests import CheckedFiles, read_digests
from priorwise.store.remote_digest import rows_digest
from priorwise.store.staging import remote_files
from priorwise.store.tables import ContentDigest, PinnedTable, scan


@dataclass(frozen=True)
class Compared:
    """Files of a version, by their addresses.

    Attributes
    ----------
    sound : frozenset of str
        Compared with what was written: bytes, or the tag of an object.
    unknown : frozenset of str
        As long as the version says; nobody wrote down what is in them.
    """

    sound: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()

    def __or__(self, other: "Compared") -> "Compared":
        return Compared(self.sound | other.sound, self.unknown | other.unknown)


def check_files(table: PinnedTable, full: bool = False) -> Compared:
    """Compare the files of a version with what was written.

    Each is there and as long as the version says; those in a local table's list of digests have the
    bytes that were written. A file that was right before, and has the same size, time and inode,
    is not read again. An object of a store has the tag (ETag) that it had when it was seen first.

    Parameters
    ----------
    table : PinnedTable
    full : bool
        Read every file, whatever was found before, and remember nothing; objects are not read.

    Returns
    -------
    Compared

    Raises
    ------
    BadInput
        Naming the file that is missing, truncated or changed.
    """
    datasets = [(table.uri, table.dataset)]
    if table.shared is not None:
        datasets.append((table.shared.dataset.uri, table.shared.dataset))
    found = Compared()
    for uri, dataset in datasets:
        remote = is_remote(uri)
        found |= _check_objects(uri, dataset, full) if remote else _check(Path(uri), dataset, full)
    return found


def check_rows(table: PinnedTable) -> int:
    """Read every row of a version, and compare them with a digest that is on record.

    Returns
    -------
    int
        Rows.

    Raises
    ------
    BadInput
        If they cannot be read, or are others.
    """
    recorded = list(_recorded(table, CheckedFiles(table.uri)))
    if not recorded:  # of others, maybe, with columns of any kind
        return sum(batch.num_rows for batch in scan(table))
    digest = ContentDigest(table.schema)
    for batch in scan(table):
        digest.update(batch)
    _compare(table, digest.hexdigest(), recorded)
    return digest.n_rows


def check_content(table: PinnedTable, digest: str) -> None:
    """Compare a version's rows with those it had when it was read first.

    A version never changes: other rows mean that a file was damaged, also in a table without a
    list of digests. In an object store they are compared with those that were written, too.

    Parameters
    ----------
    table : PinnedTable
    digest : str
        Of all rows, as `ContentDigest` makes it.

    Raises
    ------
    BadInput
    """
    known = CheckedFiles(table.uri)
    _compare(table, digest, _recorded(table, known))
    known.first(_rows_of(table), digest)
    known.keep()


def _recorded(table: PinnedTable, known: CheckedFiles) -> Iterator[tuple[str, str]]:
    """Digests of a version's rows on record, and what it means if the rows have another."""
    written = rows_digest(table.uri, table.version) if is_remote(table.uri) else ""
    if written:
        yield written, f"were written (digest {written[:8]}): a file of it is damaged"
    first = known.recorded(_rows_of(table))
    if first:
        when = f"when it was first read (digest {first[:8]})"
        yield first, f"{when}: a file of it is damaged, or {known.place} is"


def _compare(table: PinnedTable, digest: str, recorded: Iterable[tuple[str, str]]) -> None:
    for other, than in recorded:
        if other != digest:
            raise BadInput(
                f"{table.uri}: version {table.version} has other rows (digest {digest[:8]}) than "
                f"{than}"
            )


def _rows_of(table: PinnedTable) -> str:
    return f"{table.version} {table.written}"


def needed_files(dataset: lance.LanceDataset) -> Iterator[tuple[str, int | None]]:
    """Files of one version within its folder, and their sizes in bytes where it says them."""
    for fragment in dataset.get_fragments():
        for file in fragment.metadata.files:
            yield f"data/{file.path}", file.file_size_bytes
        deleted = fragment.deletion_file()
        if deleted:
            yield str(deleted), None


def _check_objects(uri: str, dataset: lance.LanceDataset, full: bool) -> Compared:
    known = CheckedFiles(uri)
    version = f"version {dataset.version} of the table needs it"
    there = {file.address: file for file in remote_files(f"{uri.rstrip('/')}/")}
    needed = {f"{uri.rstrip('/')}/{name}": size for name, size in needed_files(dataset)}
    for address, size in needed.items():
        file = there.get(address)
        if file is None:
            raise BadInput(f"{address}: is missing ({version})")
        if size is not None and size != file.size:
            raise BadInput(f"{address}: has {file.size} bytes instead of {size}: is damaged")
        if known.first(address, file.version) != file.version:
            raise BadInput(
                f"{address}: is damaged (its ETag is not the one that it had when it was first "
                f"seen, or {known.place} is not of this table)"
            )
    if not full:
        known.keep()
    return Compared(sound=frozenset(needed))


def _check(folder: Path, dataset: lance.LanceDataset, full: bool) -> Compared:
    written, known = read_digests(folder), CheckedFiles(folder)
    sound: set[str] = set()
    unknown: set[str] = set()
    version = f"version {dataset.version} of the table needs it"
    needed = dict(needed_files(dataset))
    others = [name for name in written if name not in needed and not name.startswith("data/")]
    for name in [*needed, *others]:
        path, size = folder / name, needed.get(name)
        try:
            found = path.stat().st_size
            if size is not None and size != found:
                raise BadInput(f"{path}: has {found} bytes instead of {size}: is damaged")
            if name not in written:
                unknown.add(str(path))
                continue
            sound.add(str(path))
            if known.sha256(path, full) != written[name]:
                raise BadInput(
                    f"{path}: is damaged ({found} bytes; its sha256 is not the one that was "
                    "written with the table)"
                )
        except FileNotFoundError:
            if name in needed:  # else it went with a version that was cleaned up
                raise BadInput(f"{path}: is missing ({version})") from None
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    if not full:
        known.keep()
    return Compared(frozenset(sound), frozenset(unknown))
