"""A lock between processes of one machine: gone with its holder, however that one dies."""

import fcntl
import os
import time
from pathlib import Path

POLL = 0.1


class FileLock:
    """An exclusive lock on a file that exists only while it is held.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def take(self, wait: float = 0.0) -> bool:
        """Whether it could be had within `wait` seconds.

        Raises
        ------
        OSError
            If the file cannot be made.
        """
        until = time.monotonic() + wait
        while not self._try():
            if time.monotonic() >= until:
                return False
            time.sleep(POLL)
        return True

    def release(self) -> None:
        """Give it up; does nothing if it is not held."""
        if self._handle is not None:
            self.path.unlink(missing_ok=True)  # while it is held: nobody else's
            os.close(self._handle)
            self._handle = None

    def _try(self) -> bool:
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the holder before may have removed the file after we opened it
            if os.path.samestat(os.fstat(handle), os.stat(self.path)):
                self._handle = handle
                return True
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(handle)
        return False
