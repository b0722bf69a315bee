"""A small HTTP server that stands where an engine would, and a client that sees each piece as it comes."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infctl_local.routes import Backend


class Answering(ThreadingHTTPServer):
    """Answers as a body says: {"pieces": n, "every_s": x, "break_after": n}; else with what it was sent."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name = name
        self.status = 200
        self.cut = threading.Event()  # a client went away while it was answered
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def backend(self, weight: int = 1) -> Backend:
        return Backend(self.name, f"http://127.0.0.1:{self.server_address[1]}", weight)

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def do_GET(self) -> None:
        self._echo(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        wish = json.loads(body) if body.startswith(b"{") else {}
        if "pieces" in wish:
            self._stream(wish)
        else:
            self._echo(body)

    def _echo(self, body: bytes) -> None:
        seen = {"by": self.server.name, "path": self.path, "headers": dict(self.headers), "body": body.decode()}
        answer = json.dumps(seen).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("X-Engine", self.server.name)
        self.send_header("Keep-Alive", "timeout=5")
        self.end_headers()
        self.wfile.write(answer)

    def _stream(self, wish: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(wish["pieces"]):
                if number == wish.get("break_after"):
                    self.close_connection = True
                    return
                line = f"data: {self.server.name} {number} {time.monotonic()}\n\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                time.sleep(wish["every_s"])
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.cut.set()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing: a test's output is about what failed."""


def connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def post(port: int, body: object, path: str = "/v1/completions") -> tuple[int, dict[str, Any]]:
    """Return status and JSON of one request on a connection of its own."""
    connection = connect(port)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def stream(port: int, pieces: int, every_s: float) -> Generator[list[str], None, None]:
    """Yield [backend, number, time it was sent] of each piece as it arrives."""
    connection = connect(port)
    try:
        connection.request("POST", "/v1/completions", json.dumps({"pieces": pieces, "every_s": every_s}))
        response = connection.getresponse()
        while line := response.readline():
            if line.strip():
                yield line.decode().split()[1:]
    finally:
        connection.close()
