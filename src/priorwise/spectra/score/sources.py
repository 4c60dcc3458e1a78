"""What `inputs` of a scoring stands for: runs and Lance tables, here or in an object store."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from priorwise.errors import BadInput
from priorwise.spectra.checks import check_schema
from priorwise.spectra.ingest.formats import SCAN_SUFFIXES
from priorwise.spectra.ingest.inputs import input_parts, is_run, members
from priorwise.store.addresses import is_remote
from priorwise.store.staging import RemoteFile, remote_files
from priorwise.store.tables import open_pinned

_VERSIONS = "_versions"


@dataclass(frozen=True)
class Source:
    """One file or table to score.

    Attributes
    ----------
    address : str
        Path as given or found, or s3:// address.
    is_table : bool
        A Lance table; else a run.
    size : int
        Bytes.
    version : str
        Changes with the content: modification time, the store's tag, or the table's version.
    remote : RemoteFile or None
        Set for a run in an object store.
    """

    address: str
    is_table: bool
    size: int
    version: str
    remote: RemoteFile | None = None

    @property
    def name(self) -> str:
        """Base name."""
        return PurePosixPath(self.address).name

    @property
    def label(self) -> str:
        """For the user: of a table with its folder, as all test tables have the same name."""
        return "/".join(PurePosixPath(self.address).parts[-2:]) if self.is_table else self.name


@dataclass(frozen=True)
class Sources:
    """Files and tables to score, in order, and files of another kind that were met.

    Attributes
    ----------
    found : tuple of Source
    ignored : tuple of str
    """

    found: tuple[Source, ...]
    ignored: tuple[str, ...]


def find_sources(inputs: str) -> Sources:
    """Resolve `inputs`.

    Parameters
    ----------
    inputs : str
        mzML, mzXML, Thermo RAW or MGF files (plain or .gz), Lance tables, folders (searched to any
        depth), globs, s3:// objects or prefixes; several with commas between.

    Returns
    -------
    Sources
        Sorted within each part; what is met twice is scored once.

    Raises
    ------
    BadInput
        If a part matches nothing, names a file of another kind, or nothing is left to score.
    """
    found: dict[str, Source] = {}
    ignored: dict[str, str] = {}
    for part in input_parts(inputs):
        remote = is_remote(part)
        for source in _remote(part) if remote else _local(part):
            key = source if isinstance(source, str) else source.address
            key = key if remote else os.path.abspath(key)
            if isinstance(source, str):
                ignored[key] = source
            else:
                found.setdefault(key, source)
    if not found:
        raise BadInput(
            f"inputs={inputs}: nothing to score there ({len(ignored)} file(s) of another kind; "
            f"expected {', '.join(SCAN_SUFFIXES)} or a Lance table)"
        )
    return Sources(tuple(found.values()), tuple(ignored.values()))


def _local(part: str) -> list[Source | str]:
    named: list[Source | str] = []
    for path in members(part, SCAN_SUFFIXES, _is_table):
        if _is_table(path):
            named.append(_table(str(path), explicit=str(path) == str(Path(part))))
        elif is_run(path, SCAN_SUFFIXES) and path.is_file():  # reading a pipe would never end
            state = path.stat()
            named.append(Source(str(path), False, state.st_size, str(state.st_mtime_ns)))
        else:
            named.append(str(path))
    return named


def _remote(part: str) -> list[Source | str]:
    files = remote_files(part)
    tables: dict[str, int] = {}
    for file in files:
        if _VERSIONS in file.key.parts:
            tables.setdefault(file.address.partition(f"/{_VERSIONS}/")[0], 0)
    named: list[Source | str] = []
    for file in files:
        home = next((table for table in tables if file.address.startswith(f"{table}/")), "")
        if home:
            tables[home] += file.size
        elif is_run(Path(file.key.name), SCAN_SUFFIXES):
            named.append(Source(file.address, False, file.size, file.version, file))
        else:
            named.append(file.address)
    return named + [_table(uri, uri == part.rstrip("/"), size) for uri, size in tables.items()]


def _is_table(path: Path) -> bool:
    return (path / _VERSIONS).is_dir()


def _table(uri: str, explicit: bool, size: int | None = None) -> Source | str:
    """A spectra table; of another table, met on the way, only its name."""
    pinned = open_pinned(uri)
    try:
        check_schema(pinned.schema, uri)
    except BadInput:
        if explicit:
            raise
        return uri
    if size is None:
        size = sum(path.stat().st_size for path in Path(uri).rglob("*") if path.is_file())
    return Source(uri, True, size, f"{pinned.version} {pinned.written}")
