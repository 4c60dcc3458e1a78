"""Which files an ingest reads, and which table each of them goes to."""

import csv
import fnmatch
import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from priorwise.errors import BadInput
from priorwise.spectra.ingest.readers import RUN_SUFFIXES
from priorwise.spectra.usi import stem_of

#: split -> table, below the output folder
TABLES = {
    "train": "train_data",
    "validation": "validation_data",
    "test_1": "test_1/test_data",
    "test_2": "test_2/test_data",
    "test_3": "test_3/test_data",
}
_MASSIVE = re.compile(r"MSV\d{9}")


@dataclass(frozen=True)
class RunFiles:
    """Files to read, in reading order, and what was passed over.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        mzML and mzXML runs.
    blanks : tuple of pathlib.Path
        Runs left out because "blank" is in their name.
    ignored : tuple of pathlib.Path
        Files of another kind, met in a folder or by a glob.
    """

    paths: tuple[Path, ...]
    blanks: tuple[Path, ...]
    ignored: tuple[Path, ...]


def is_run(path: Path, suffixes: tuple[str, ...] = RUN_SUFFIXES) -> bool:
    """Whether the name is that of a file that can be read."""
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".")


def find_runs(inputs: str) -> RunFiles:
    """Resolve `inputs` into files.

    Parameters
    ----------
    inputs : str
        A file, a folder (searched to any depth), a glob, or several of these with commas between.
        A name that exists is taken as it stands, whatever characters it has.

    Returns
    -------
    RunFiles
        Sorted within each part; a file met twice is read once.

    Raises
    ------
    BadInput
        If a part matches nothing, names a file that is no run, or nothing is left to read.
    """
    runs: dict[str, Path] = {}
    blanks: dict[str, Path] = {}
    ignored: dict[str, Path] = {}
    for part in input_parts(inputs):
        for path in members(part):
            key = os.path.abspath(path)
            if not is_run(path):
                ignored[key] = path
            elif "blank" in path.name.lower():
                blanks[key] = path
            else:
                runs[key] = path
    found = RunFiles(tuple(runs.values()), tuple(blanks.values()), tuple(ignored.values()))
    if not found.paths:
        raise BadInput(
            f"inputs={inputs}: no mzML or mzXML run to read ({len(blanks)} named blank, "
            f"{len(ignored)} of another kind)"
        )
    return found


def input_parts(inputs: str) -> list[str]:
    """Parts of a comma-separated list; a name that exists is one part, commas and all."""
    if os.path.exists(inputs):
        return [inputs]
    parts = [part.strip() for part in inputs.split(",") if part.strip()]
    if not parts:
        raise BadInput("inputs: expected a file, a folder or a glob; got nothing")
    return parts


def members(
    part: str,
    suffixes: tuple[str, ...] = RUN_SUFFIXES,
    whole: Callable[[Path], bool] = lambda folder: False,
) -> list[Path]:
    """Files that one part of `inputs` stands for: a file, a folder to any depth, or a glob.

    Parameters
    ----------
    part : str
    suffixes : tuple of str
        Of names that may be given one by one.
    whole : callable
        Tells folders that are one member themselves, not to be looked into.

    Raises
    ------
    BadInput
        If it matches nothing, names a file of another kind, or holds a folder that cannot be read.
    """
    if re.match(r"[a-z0-9+]+://", part):
        raise BadInput(f"inputs: {part}: expected a local path")
    path = Path(part)
    if os.path.isdir(part):  # Path.is_dir raises if a name is too long
        return sorted(_walk(path, whole))
    if os.path.isfile(part):
        if is_run(path, suffixes):
            return [path]
        if suffixes != RUN_SUFFIXES:
            raise BadInput(f"{path}: expected a name that ends in {', '.join(suffixes)}")
        raise BadInput(
            f"{path}: only mzML and mzXML (plain or .gz) are read; convert vendor files first, "
            "for example with msconvert or ThermoRawFileParser"
        )
    found = sorted(Path(name) for name in glob.glob(part, recursive=True))
    if not found:
        raise BadInput(f"inputs: {part}: no such file or folder, and no file matches it")
    return [p for member in found for p in (_walk(member, whole) if member.is_dir() else [member])]


def _walk(folder: Path, whole: Callable[[Path], bool]) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise BadInput(f"inputs: {error.filename}: cannot be read ({error.strerror})") from error

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        if whole(Path(parent)):
            folders.clear()
            found.append(Path(parent))
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in sorted(names)]
    return found


def run_stem(path: PurePath) -> str:
    """Cut a run's base name down: without .mzML, .mzXML, .raw, .mgf and .gz."""
    return stem_of(path.name)


def dataset_id_of(path: PurePath | str) -> str:
    """MassIVE id in the file's full path or address, else the stem of its name."""
    place = str(path) if "://" in str(path) else os.path.abspath(path)
    found = _MASSIVE.search(place)
    return found.group(0) if found else run_stem(PurePath(path))


@dataclass(frozen=True)
class Assignment:
    """Table of each run, and the lines of the split file that named none.

    Parameters
    ----------
    tables : tuple of str
        One for each run, a value of `TABLES`.
    unused : tuple of str
        Entries of the `file` column that match no run.
    """

    tables: tuple[str, ...]
    unused: tuple[str, ...]


def assign_tables(paths: tuple[Path, ...], split: str | Path | None) -> Assignment:
    """Look up each run in a split file.

    Parameters
    ----------
    paths : tuple of pathlib.Path
        The runs.
    split : str or pathlib.Path, optional
        CSV with the columns `file` (base name, or a glob on it; ".gz" may be left off) and
        `split` (train, validation, test_1, test_2 or test_3). If not given, all runs train.

    Raises
    ------
    BadInput
        If the file lacks a column, names an unknown split, leaves a run out, or puts a run into
        two splits.
    """
    if split is None:
        return Assignment((TABLES["train"],) * len(paths), ())
    rows = _read_split(Path(split))
    used: set[str] = set()
    tables = []
    for path in paths:
        names = {path.name, re.sub(r"(?i)\.gz$", "", path.name)}
        # an exact name first: real names hold brackets, which a glob reads as a class
        hits = [row for row in rows if row[0] in names]
        hits = hits or [
            row for row in rows if any(fnmatch.fnmatchcase(name, row[0]) for name in names)
        ]
        used |= {pattern for pattern, _ in hits}
        splits = sorted({name for _, name in hits})
        if len(splits) != 1:
            wrong = f"is in the splits {', '.join(splits)}" if splits else "is not named"
            raise BadInput(f"{split}: {path.name} {wrong}; expected one split for each input file")
        tables.append(TABLES[splits[0]])
    return Assignment(tuple(tables), tuple(p for p, _ in rows if p not in used))


def _read_split(path: Path) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = reader.fieldnames or []
            for column in ("file", "split"):
                if column not in columns:
                    raise BadInput(f"{path}: no column {column!r}; expected file,split")
            rows = [
                (reader.line_num, (row["file"] or "").strip(), (row["split"] or "").strip())
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: cannot be read as CSV ({error})") from error
    for line, name, split in rows:
        if not name:
            raise BadInput(f"{path}: line {line}: column file is empty")
        if split not in TABLES:
            raise BadInput(
                f"{path}: line {line}: split {split[:60]!r}; expected one of {', '.join(TABLES)}"
            )
    return [(name, split) for _, name, split in rows]
