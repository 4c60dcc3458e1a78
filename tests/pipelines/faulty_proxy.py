"""Stands before a server and misbehaves when told: hangs, or answers 500 or 429."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: headers that are of one connection only
OF_THE_WAY = {"connection", "keep-alive", "transfer-encoding", "content-length"}
PASS, HANG, LOSE = 0, -1, -2


class Proxy:
    """Where it listens, and what it does.

    Attributes
    ----------
    uri : str
    mode : int
        PASS, HANG (accept, never answer), LOSE (pass on metrics, lose the answer), or the status
        that it answers with.
    spared : int
        PUT requests that are still passed on whatever the mode; then it holds.
    refused : int
        Requests that were not passed on.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.mode = PASS
        self.spared = 0
        self.refused = 0
        #: ends what hangs
        self.over = threading.Event()


@contextmanager
def faulty_proxy(server: str) -> Iterator[Proxy]:
    """Pass requests on to `server`, unless told otherwise."""
    host = server.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def passed_on(self) -> None:
            """Any request."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "PUT" and proxy.spared:
                proxy.spared -= 1
                self._passed_on(body, losing=False)
                return
            if proxy.mode == HANG:
                proxy.refused += 1
                proxy.over.wait(600)
                self.close_connection = True
                return
            losing = proxy.mode == LOSE and "log-batch" in self.path
            if proxy.mode not in (PASS, LOSE):
                proxy.refused += 1
                self._answer(proxy.mode, [], b"not now")
                return
            self._passed_on(body, losing)

        def _passed_on(self, body: bytes, losing: bool) -> None:
            onward = HTTPConnection(host, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in OF_THE_WAY}
            try:
                onward.request(self.command, self.path, body, headers)
                got = onward.getresponse()
                content = got.read()
                if losing:
                    proxy.refused += 1
                    self.close_connection = True
                    return
                self._answer(got.status, got.getheaders(), content)
            except OSError:
                self.close_connection = True
            finally:
                onward.close()

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in OF_THE_WAY:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.passed_on)
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{listening.server_address[1]}")
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.over.set()
        listening.shutdown()
        listening.server_close()
