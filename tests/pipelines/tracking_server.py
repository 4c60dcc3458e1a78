"""A real `mlflow server` for tests: one worker, on a free port, ended whatever happens."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from tests.pipelines.workplace import Workplace

START = 120


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class TrackingServer:
    """A server that can be killed and started again on the same port.

    Parameters
    ----------
    behind : Workplace
        Whose store is served.
    artifacts : str or pathlib.Path
        Where those of new experiments go.
    environment : mapping, optional
        More variables.
    """

    def __init__(
        self, behind: Workplace, artifacts: str | Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.uri = f"http://127.0.0.1:{free_port()}"
        self._behind, self._artifacts = behind, artifacts
        # its job runners are ten more processes, of no use here
        self._environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._family: list[psutil.Process] = []

    def start(self) -> None:
        """Return once it answers."""
        self._process = self._behind.start(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--host", "127.0.0.1", "--port", self.uri.rsplit(":", 1)[1]),
                *("--backend-store-uri", self._behind.uri),
                *("--artifacts-destination", self._artifacts),
            ],
            self._environment,
        )
        until = time.monotonic() + START
        while not answers(self.uri):
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < until, self._behind.stderr
            time.sleep(0.2)
        server = psutil.Process(self._process.pid)
        self._family = [server, *server.children(recursive=True)]

    def kill(self) -> None:
        """SIGKILL, without a word."""
        for process in self._family:
            if process.is_running():
                process.kill()
        if self._process is not None:
            self._process.wait(20)

    def stop(self) -> None:
        """An orderly end, if it runs."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def tracking_server(
    behind: Workplace, artifacts: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Serve the store of `behind`; artifacts of new experiments go to `artifacts`."""
    server = TrackingServer(behind, artifacts, environment)
    try:
        server.start()
        yield server.uri
    finally:
        server.stop()


def answers(uri: str) -> bool:
    """Whether a server is up."""
    try:
        with urlopen(f"{uri}/health", timeout=5):
            return True
    except (URLError, OSError):
        return False
