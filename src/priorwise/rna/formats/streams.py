"""Lines of a text file, plain or gzip."""

import gzip
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from priorwise.errors import BadInput

#: characters of one line; the longest RNA known has some 100,000 bases
MAX_LINE = 1 << 24
#: bound on what a gzip file may expand to: the larger of the two
MAX_EXPANSION = 50
MAX_EXPANSION_FLOOR = 1 << 26


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
    zipped = path.name.lower().endswith(".gz")
    opener = gzip.open if zipped else open
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise BadInput(f"{path}: is no file (a folder, a pipe or a device)")
        bound = max(MAX_EXPANSION * state.st_size, MAX_EXPANSION_FLOOR) if zipped else None
        with cast(IO[str], opener(path, "rt", encoding="utf-8-sig", newline=newline)) as file:
            n_read = 0
            while line := file.readline(MAX_LINE + 1):
                n_read += len(line)
                if len(line) > MAX_LINE:
                    raise BadInput(f"{path}: a line has more than {MAX_LINE:,} characters")
                if bound is not None and n_read > bound:
                    raise BadInput(
                        f"{path}: expands to more than {bound:,} characters; a damaged or hostile "
                        "file? (unpack it yourself if it is not)"
                    )
                yield line
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is no text ({error}; expected UTF-8)") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:  # of a name with a NUL: ValueError
        raise BadInput(f"{path}: cannot be read ({error})") from error


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, without the white space around them, counted from 1."""
    for number, line in enumerate(text_lines(path), start=1):
        if text := line.strip():
            yield number, text


def stem_of(path: Path) -> str:
    """Name of a file without the end that tells its format."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name.rpartition(".")[0] or name
