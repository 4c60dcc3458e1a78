"""Lines of a text file, plain or gzip."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from priorwise.errors import BadInput


def text_lines(path: Path, newline: str | None = None) -> Iterator[str]:
    """Lines with their ends, as CSV readers want them.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8, with or without a mark at the start; gzip if the name ends in .gz.
    newline : str, optional
        As in `open`; None turns every line end into a line feed.

    Raises
    ------
    BadInput
        If the file cannot be read, is damaged, or is no text.
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with cast(IO[str], opener(path, "rt", encoding="utf-8-sig", newline=newline)) as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text ({error}; expected UTF-8)") from error


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, without the white space around them, counted from 1."""
    for number, line in enumerate(text_lines(path), start=1):
        if text := line.strip():
            yield number, text


def stem_of(path: Path) -> str:
    """Name of a file without the end that tells its format."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name.rpartition(".")[0] or name
