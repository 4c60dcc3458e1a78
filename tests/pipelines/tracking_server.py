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

from tests.pipelines.workplace import Workplace

START = 120


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def tracking_server(
    behind: Workplace, artifacts: str | Path, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Serve the store of `behind`; artifacts of new experiments go to `artifacts`."""
    uri = f"http://127.0.0.1:{free_port()}"
    server = behind.start(
        [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", "127.0.0.1", "--port", uri.rsplit(":", 1)[1]),
            *("--backend-store-uri", behind.uri),
            *("--artifacts-destination", artifacts),
        ],
        # its job runners are ten more processes, of no use here
        {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})},
    )
    try:
        until = time.monotonic() + START
        while not answers(uri):
            assert server.poll() is None and time.monotonic() < until, behind.stderr
            time.sleep(0.2)
        yield uri
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def answers(uri: str) -> bool:
    """Whether a server is up."""
    try:
        with urlopen(f"{uri}/health", timeout=5):
            return True
    except (URLError, OSError):
        return False
