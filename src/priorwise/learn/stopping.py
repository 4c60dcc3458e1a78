"""Being asked to stop: signals, and the parent `mlflow run` vanishing."""

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from priorwise.errors import Interrupted

#: SIGUSR1 is what a Slurm job asks for that wants to be requeued (see `phases.slurm`)
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
POLL_SECONDS = 1.0
#: after a request, others are ignored this long: they must not cut off the saving it started
GRACE_SECONDS = 60.0


class StopRequest:
    """Remembers that the process was asked to stop, and says when to act on it.

    Outside `deferred()` the request raises `Interrupted` at once; inside, it only sets
    `signum`, and the code that deferred it acts at its next safe point (a training step).
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self.reason = ""
        self.installed = False
        self._deferred = 0
        self._asked_at = -math.inf

    def install(self) -> None:
        """Take over SIGTERM, SIGINT and SIGUSR1 (main thread only)."""
        for signum in SIGNALS:
            signal.signal(signum, self.handle)
        self.installed = True

    def handle(self, signum: int, frame: FrameType | None = None) -> None:
        """Signal handler."""
        now = time.monotonic()
        if now - self._asked_at < GRACE_SECONDS:
            return
        self.signum, self._asked_at = signum, now
        self.reason = self.reason or f"received {signal.Signals(signum).name}"
        if not self._deferred:
            raise Interrupted(signum, self.reason)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note requests inside this block; a noted one raises when the block ends."""
        self._deferred += 1
        try:
            yield
        finally:
            self._deferred -= 1
        self.check()

    def check(self) -> None:
        """Raise if a stop was asked for."""
        if self.signum is not None:
            raise Interrupted(self.signum, self.reason)

    def watch_parent(self) -> None:
        """Ask for a stop when the `mlflow run` that started this script is gone.

        SIGTERM or SIGKILL to `mlflow run` does not reach the script by itself.
        """
        ancestors = _ancestors_up_to_runner()
        if ancestors:
            threading.Thread(target=self._watch, args=(ancestors,), daemon=True).start()

    def _watch(self, ancestors: list[tuple[int, str]]) -> None:
        while not threading.Event().wait(POLL_SECONDS):
            for pid, born in ancestors:
                if birth_of(pid) != born:
                    # a signal to the whole group reached this process, too
                    self.reason = self.reason or "the parent `mlflow run` is gone"
                    os.kill(os.getpid(), signal.SIGTERM)
                    return


def _ancestors_up_to_runner() -> list[tuple[int, str]]:
    """(pid, birth) of each process from the parent up to `mlflow run`; empty if not found."""
    chain = []
    pid = os.getppid()
    while pid > 1 and sys.platform == "linux":
        chain.append((pid, birth_of(pid)))
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return []
        if b"run" in words and any(b"mlflow" in word for word in words):
            return chain
        pid = _parent(pid)
    return []


def birth_of(pid: int) -> str:
    """Start time of a process; a recycled pid has another one; empty when gone or a zombie."""
    fields = _stat(pid)
    return "" if not fields or fields[0] == "Z" else fields[19]


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    try:
        # the command name in parentheses may hold blanks: split after it
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
