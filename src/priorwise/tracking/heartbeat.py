"""Who owns a run: a tag with machine, process and time, renewed while the process lives."""

import hashlib
import json
import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from mlflow.tracking import MlflowClient

from priorwise.learn.stopping import birth_of

TAG = "heartbeat"
#: seconds between two signs of life; and without one, until a process elsewhere counts as silent
PERIOD, SILENT = 30.0, 150.0


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life.

    Attributes
    ----------
    host : str
        For people; several machines may have one name.
    place : str
        The machine since it was started, and its space of process ids: only here can be seen
        whether the process lives.
    pid : int
    born : str
        When the process began, in ticks since the machine was started: process ids are used again.
    at : float
        Seconds since 1970.
    """

    host: str
    place: str
    pid: int
    born: str
    at: float

    @classmethod
    def now(cls) -> "Heartbeat":
        """That of this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _place(), pid, birth_of(pid), round(time.time(), 1))

    @classmethod
    def read(cls, text: str | None) -> "Heartbeat | None":
        """From a tag; None if there is none, or it is not one of ours."""
        try:
            values = json.loads(text or "")
            return cls(
                str(values["host"]),
                str(values["place"]),
                int(values["pid"]),
                str(values["born"]),
                float(values["at"]),
            )
        except (ValueError, KeyError, TypeError):
            return None

    @property
    def text(self) -> str:
        """As a tag."""
        return json.dumps(asdict(self))

    @property
    def here(self) -> bool:
        """Whether its process is, or was, of this machine since it was started."""
        return bool(self.born) and self.place == _place()

    @property
    def alive(self) -> bool:
        """Whether that process runs; only known if it is `here`."""
        return self.here and birth_of(self.pid) == self.born

    @property
    def silence(self) -> float:
        """Seconds since."""
        return time.time() - self.at

    @property
    def is_mine(self) -> bool:
        """Whether it is of this process."""
        return self.alive and self.pid == os.getpid()

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Heart:
    """Renews the tag of a run until it is told to stop; a server that is away is no trouble."""

    def __init__(self, client: MlflowClient, run_id: str, period: float = PERIOD) -> None:
        self._client, self._run_id, self._period = client, run_id, period
        self._stop = threading.Event()
        name = f"heart of {run_id}"
        self._thread = threading.Thread(target=self._beat, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No sign of life from now on."""
        self._stop.set()

    def _beat(self) -> None:
        while not self._stop.wait(self._period):
            with suppress(Exception):  # the next one may come through
                self._client.set_tag(self._run_id, TAG, Heartbeat.now().text)


@cache
def _place() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
