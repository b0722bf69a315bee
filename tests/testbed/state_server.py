"""Owns a server that speaks Terraform's HTTP protocol for state, written from its documentation; and what is wrong with
others of its kind. Runs as a process of its own, so that a run that is stopped does not stop it.

`python -m tests.testbed.state_server PORT [MISTAKE...]`
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.testbed.buckets import free_port, serving

# What a server may get wrong: takes any id with a write; any id with an unlocking; knows no lock; answers 500 to every
# other write, after it was done; ends its answers in the middle.
MISTAKES = ("any-write", "any-unlock", "no-lock", "late-500", "cut")
_numbers = itertools.count(1)
USER, PASSWORD = "ops", "sesame-of-the-server"


class Shelf:
    """What the server keeps: documents and locks by path."""

    def __init__(self, mistakes: frozenset[str]) -> None:
        self.mistakes = mistakes
        self.documents: dict[str, bytes] = {}
        self.locks: dict[str, bytes] = {}
        self.writes = 0
        self.alone = threading.Lock()

    def holder(self, path: str) -> str:
        lock = self.locks.get(path)
        return str(json.loads(lock)["ID"]) if lock else ""


class Handler(BaseHTTPRequestHandler):
    shelf: Shelf

    def do_GET(self) -> None:
        with self.shelf.alone:
            self.answer(200 if self.place in self.shelf.documents else 404, self.shelf.documents.get(self.place, b""))

    def do_POST(self) -> None:
        body = self.body()
        if base64.b64decode(self.headers["Content-MD5"]) != hashlib.md5(body).digest():  # noqa: S324  # the protocol's
            return self.answer(400, b"cut short")
        with self.shelf.alone:
            held = self.shelf.holder(self.place)
            if held != self.ident and "any-write" not in self.shelf.mistakes:
                return self.answer(409, self.shelf.locks.get(self.place, b""))
            self.shelf.documents[self.place] = body
            self.shelf.writes += 1
            late = "late-500" in self.shelf.mistakes and self.shelf.writes % 2
            return self.answer(500 if late else 200, b"oops" if late else b"")

    def do_DELETE(self) -> None:
        with self.shelf.alone:
            if self.shelf.holder(self.place) not in {"", self.ident}:
                return self.answer(409, self.shelf.locks[self.place])
            return self.answer(200 if self.shelf.documents.pop(self.place, None) else 404)

    def do_LOCK(self) -> None:
        body = self.body()
        with self.shelf.alone:
            if "no-lock" in self.shelf.mistakes:
                return self.answer(405)
            if self.place in self.shelf.locks:
                return self.answer(423, self.shelf.locks[self.place])
            self.shelf.locks[self.place] = body
            return self.answer(200)

    def do_UNLOCK(self) -> None:
        body = self.body()
        with self.shelf.alone:
            same = self.shelf.holder(self.place) == json.loads(body)["ID"]
            if not same and "any-unlock" not in self.shelf.mistakes:
                return self.answer(409, self.shelf.locks.get(self.place, b""))
            self.shelf.locks.pop(self.place, None)
            return self.answer(200)

    @property
    def place(self) -> str:
        return urlsplit(self.path).path

    @property
    def ident(self) -> str:
        return parse_qs(urlsplit(self.path).query).get("ID", [""])[0]

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, status: int, body: bytes = b"") -> None:
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            status, body = 401, b"who are you"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = "cut" in self.shelf.mistakes and self.command == "GET"
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name is the library's
        """Nobody reads it."""


class StateServer(NamedTuple):
    address: str
    pid: int
    password: str = PASSWORD


@contextmanager
def state_server(log: Path, *mistakes: str) -> Iterator[StateServer]:
    port = free_port()
    argv = [sys.executable, "-m", "tests.testbed.state_server", str(port), *mistakes]
    with serving(argv, f"http://127.0.0.1:{port}/", log, {}) as pid:
        yield StateServer(f"http://127.0.0.1:{port}/acme/prod", pid)


@pytest.fixture(scope="session")
def terraform_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateServer]:
    with state_server(tmp_path_factory.mktemp("server") / "log") as server:
        yield server


@pytest.fixture
def http_server(terraform_server: StateServer) -> StateServer:
    """An address at which nothing is kept yet."""
    return terraform_server._replace(address=f"{terraform_server.address}-{next(_numbers)}")


def main(port: int, mistakes: frozenset[str]) -> None:
    assert mistakes <= {*MISTAKES}
    shelf = Shelf(mistakes)
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"shelf": shelf}))
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), frozenset(sys.argv[2:]))
