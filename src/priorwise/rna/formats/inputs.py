"""Which files `inputs` stands for."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from priorwise.errors import BadInput
from priorwise.rna.formats.read import READERS, ending


@dataclass(frozen=True)
class InputFiles:
    """Files to read, in reading order, and what was passed over.

    Attributes
    ----------
    paths : tuple of pathlib.Path
    ignored : tuple of pathlib.Path
        Files of another kind, met in a folder or by a glob.
    """

    paths: tuple[Path, ...]
    ignored: tuple[Path, ...]


def find_inputs(inputs: str) -> InputFiles:
    """Resolve `inputs` into files.

    Parameters
    ----------
    inputs : str
        A file, a folder (searched to any depth), a glob, or several of these with commas between.
        A name that exists is taken as it stands, whatever characters it has.

    Raises
    ------
    BadInput
        If a part matches nothing, names a file of another kind, or nothing is left to read.
    """
    parts = [inputs] if os.path.exists(inputs) else [part.strip() for part in inputs.split(",")]
    chosen: dict[str, Path] = {}
    ignored: dict[str, Path] = {}
    for part in parts:
        if not part:
            continue
        if os.path.isfile(part) and not ending(Path(part)):
            ends = ", ".join(READERS)
            raise BadInput(f"inputs: {part}: expected a name that ends in {ends}, or .gz behind it")
        for path in _members(part):
            named = os.path.isfile(part)
            kept = chosen if named or _is_input(path) else ignored
            kept[os.path.abspath(path)] = path
    if not chosen:
        raise BadInput(
            f"inputs={inputs}: no file to read (expected names that end in {', '.join(READERS)}, "
            f"or .gz behind it; {len(ignored)} files of another kind)"
        )
    return InputFiles(tuple(chosen.values()), tuple(ignored.values()))


def _is_input(path: Path) -> bool:
    """Whether a file that a folder holds is one to read."""
    if path.name.startswith(".") or not ending(path):
        return False
    if ending(path) != ".db":
        return True
    try:  # mlflow.db and others of that end are databases
        with path.open("rb") as file:
            return b"\0" not in file.read(512)
    except OSError:
        return True  # reading it will say why


def _members(part: str) -> list[Path]:
    if os.path.isfile(part):
        return [Path(part)]
    found = [part] if os.path.isdir(part) else sorted(glob.glob(part, recursive=True))
    if not found:
        raise BadInput(f"inputs: {part}: no such file or folder, and no file matches it")
    files: list[Path] = []
    for name in found:
        files += _walk(Path(name)) if os.path.isdir(name) else [Path(name)]
    return files


def _walk(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise BadInput(f"inputs: {error.filename}: cannot be read ({error.strerror})") from error

    files = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(parent, name) for name in sorted(names)]
    return files
