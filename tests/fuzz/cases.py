"""One case: a reader, a sound sample, and what was done to it; and what came of reading it."""

import gzip
import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.mutations import Operation, random_operations, spoilt, spoilt_json
from tests.fuzz.readers import Reader

from priorwise.errors import BadInput

REFUSED, READ = "refused", "read"


def numbered(reader: Reader, name: str, number: int, folder: Path) -> Path:
    """The case of this number, always the same, written into an empty folder."""
    rng = random.Random(f"{name} {number}")
    return written(reader, rng.randrange(1 << 30), random_operations(rng), rng.random(), folder)


def written(
    reader: Reader, which: int, operations: Sequence[Operation], how: float, folder: Path
) -> Path:
    """Write a sample, spoilt.

    Parameters
    ----------
    which : int
        Of the samples, or of the files of a folder.
    operations : sequence of Operation
    how : float
        Below one half: JSON is spoilt as text, and gzip outside of its compression.
    folder : pathlib.Path
    """
    if reader.folder is not None:
        place = folder / "sound"
        place.mkdir()
        reader.folder(place)
        files = sorted(path for path in place.rglob("*") if path.is_file())
        path = files[which % len(files)]
        path.write_bytes(spoilt(path.read_bytes(), operations))
        return place
    samples = sorted(reader.samples().items())
    name, data = samples[which % len(samples)]
    if reader.json and how >= 0.5:
        data = spoilt_json(json.loads(data), operations).encode()
    elif name.endswith(".gz") and how >= 0.5:
        data = gzip.compress(spoilt(gzip.decompress(data), operations), 1, mtime=0)
    else:
        data = spoilt(data, operations)
    path = folder / name
    path.write_bytes(data)
    return path


def outcome(reader: Reader, path: Path) -> str:
    """Refused or read.

    Raises
    ------
    Exception
        Whatever else a reader does, and `AssertionError` for a refusal of more than one line.
    """
    try:
        reader.read(path)
    except BadInput as error:
        text = str(error)
        assert text.strip() and "\n" not in text, text[:500]
        assert len(text) < 3000, f"{len(text)} characters"
        return REFUSED
    return READ


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
