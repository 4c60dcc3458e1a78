"""A run or library file as a stream of bytes: plain or gzip, bounded, and reporting progress."""

import gzip
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from tqdm import tqdm

from priorwise.errors import BadInput

#: default bound on what a gzip file may expand to: the larger of the two
MAX_EXPANSION = 50
MAX_DECOMPRESSED_FLOOR = 8 * 1024**3

OnBytes = Callable[[int], object]


def byte_bar(total: int, what: str) -> tqdm:
    """Progress bar over bytes, on stderr."""
    return tqdm(
        total=total,
        unit="B",
        unit_scale=True,
        desc=what,
        file=sys.stderr,
        # in a log file each refresh is a line of its own
        mininterval=0.1 if sys.stderr.isatty() else 5,
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)


class ByteStream:
    """Reads a plain or gzip file (told apart by content, not by name), with a bound.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    max_decompressed_bytes : int, optional
        Bound on what a gzip file may expand to; if not given, 50 times its size and at least
        8 GiB. A plain file is as large as it is.
    on_bytes : callable, optional
        Called with the bytes of the file on disk that were read since the last call.

    Raises
    ------
    BadInput
        If the file cannot be opened; `read` raises it once the bound is passed.
    """

    def __init__(
        self,
        path: Path,
        max_decompressed_bytes: int | None = None,
        on_bytes: OnBytes | None = None,
    ) -> None:
        self._path = path
        self._on_bytes = on_bytes
        self._reported = 0
        try:
            # without waiting: to open a pipe that nobody writes to would never end
            self._raw = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        except (OSError, ValueError) as error:  # of a name with a NUL: ValueError
            raise BadInput(f"{path}: cannot be read ({_reason(error)})") from error
        state = os.fstat(self._raw.fileno())
        if not stat.S_ISREG(state.st_mode):
            self._raw.close()
            raise BadInput(f"{path}: is no file (a folder, a pipe or a device)")
        size = state.st_size
        self.zipped = zipped = self._raw.read(2) == b"\x1f\x8b"
        self._raw.seek(0)
        self._bound: int | None = None
        self._stream: IO[bytes] = self._raw
        if zipped:
            self._bound = max_decompressed_bytes
            if self._bound is None:
                self._bound = max(MAX_EXPANSION * size, MAX_DECOMPRESSED_FLOOR)
            self._stream = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw, mode="rb"))

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes (a bounded piece where `size` is negative)."""
        data = self._stream.read(size if size >= 0 else 1 << 20)
        self._note()
        return data

    def readline(self) -> bytes:
        """Read the next line, at most 16 MiB of it."""
        line = self._stream.readline(1 << 24)
        self._note()
        return line

    def _note(self) -> None:
        if self._bound is not None and self._stream.tell() > self._bound:
            raise BadInput(
                f"{self._path}: expands to more than {self._bound:,} bytes "
                "(max_decompressed_bytes); a damaged or hostile file?"
            )
        here = self._raw.tell()
        if self._on_bytes is not None and here > self._reported:
            self._on_bytes(here - self._reported)
            self._reported = here

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to `offset`, as a file does."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Position in the decompressed bytes."""
        return self._stream.tell()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    def __enter__(self) -> "ByteStream":
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()
