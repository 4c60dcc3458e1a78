"""What an attacker would hand to a user; each of them leaves a marker if it is executed."""

import os
import pickle
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch


class Evil:
    """Makes the marker if it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


def evil_pickle(path: Path, marker: Path) -> Path:
    path.write_bytes(pickle.dumps(Evil(marker)))
    return path


def evil_checkpoint(path: Path, marker: Path) -> Path:
    """A file of `torch.save`, as Lightning writes them."""
    torch.save({"state_dict": {}, "hyper_parameters": {"d_model": Evil(marker)}}, path)
    return path


def evil_old_checkpoint(path: Path, marker: Path) -> Path:
    """The form before torch 1.6: a bare pickle."""
    torch.save({"state_dict": Evil(marker)}, path, _use_new_zipfile_serialization=False)
    return path


def repacked(path: Path, target: Path, compression: int, **replaced: bytes) -> Path:
    """The same archive with other members, by the end of their name."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w", compression) as copy:
        for member in source.namelist():
            content = source.read(member)
            for name, other in replaced.items():
                content = other if member.endswith(name.replace("_", ".")) else content
            copy.writestr(member, content)
    return target


@contextmanager
def web_server(content: bytes) -> Iterator[tuple[str, list[str]]]:
    """Address of a server that gives `content` to everybody, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
