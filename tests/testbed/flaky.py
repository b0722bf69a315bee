"""Owns a way to an HTTP server on which answers get lost: 500 after the work was done, bodies cut short, connections
reset. The server behind it has to take any signature, for the host's name is another.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOP_BY_HOP = {"transfer-encoding", "connection", "content-length"}


class Flaky(ThreadingHTTPServer):
    """`failing` says by method what becomes of the next answers, a word each: "500", "503", "cut", "reset", "" (well).
    `asked` counts the requests.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.failing: dict[str, list[str]] = {}
        self.deaf: set[str] = set()  # headers of requests that the server behind does not get to see
        self.asked = 0
        self.alone = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def fate(self, method: str) -> str:
        with self.alone:
            self.asked += 1
            waiting = self.failing.get(method)
            return waiting.pop(0) if waiting else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Flaky

    def pass_on(self) -> None:
        fate = self.server.fate(self.command)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in self.server.deaf}
        upstream.request(self.command, self.path, body, headers)
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        if fate == "reset":
            self.close_connection = True
            return
        if fate.isdigit():
            self.send_response(int(fate))
            data = b"<Error><Code>InternalError</Code><Message>oops</Message></Error>"
        else:
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if fate == "cut" else data)
        self.close_connection = fate == "cut"

    def do_GET(self) -> None:
        self.pass_on()

    def do_PUT(self) -> None:
        self.pass_on()

    def do_POST(self) -> None:
        self.pass_on()

    def do_DELETE(self) -> None:
        self.pass_on()

    def do_HEAD(self) -> None:
        self.pass_on()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name is the library's
        """Nobody reads it."""


@contextmanager
def flaky(upstream: str) -> Iterator[Flaky]:
    server = Flaky(upstream)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
