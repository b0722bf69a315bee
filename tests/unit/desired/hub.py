"""A small hub of models and a file server in one, for looking at models that are elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hub:
    """`repositories` by "ID/revision/REV", `files` by path: their headers; `bodies` by path: what can be read, by
    ranges, `elsewhere` whether behind a redirect. `asked` is what was asked, in order, `told` the token with it.
    """

    address: str = ""
    repositories: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Mapping[str, str]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    elsewhere: bool = False
    deaf: bool = False  # to Range
    refuses_head: bool = False
    token: str = ""
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def put(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Hold a repository of these files at the commit "c0ffee"."""
        listed = [{"rfilename": file, "size": len(content)} for file, content in contents.items()]
        self.repositories[f"{name}/revision/main"] = {"sha": "c0ffee", "siblings": listed}
        for file, content in contents.items():
            self.bodies[f"/{name}/resolve/c0ffee/{file}"] = content


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.hub.asked.append(f"HEAD {self.path.partition('?')[0]}")
        if self.hub.refuses_head:
            self._answer(405, {})
        elif self.path == "/moved":
            self._answer(302, {"Location": "/model.gguf"})
        else:
            self._file()

    def do_GET(self) -> None:
        self.hub.asked.append(f"GET {self.path} {self.headers.get('Range', '')}".strip())
        self.hub.told.append(self.headers.get("Authorization", ""))
        path = self.path.partition("?")[0]
        if (content := self.hub.bodies.get(path.removeprefix("/stored"))) is not None:
            if self.hub.elsewhere and not path.startswith("/stored"):
                self._answer(302, {"Location": f"{self.hub.address}/stored{path}"})
            else:
                self._part(content)
            return
        found = self.hub.repositories.get(self.path.partition("?")[0].removeprefix("/api/models/"))
        if found is None:
            self._file()
        elif self.hub.token and self.headers.get("Authorization") != f"Bearer {self.hub.token}":
            self._answer(401, {})
        else:
            body = found if isinstance(found, bytes) else json.dumps(found).encode()
            self._answer(200, {"Content-Type": "application/json"}, body)

    def _part(self, content: bytes) -> None:
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(content) - 1), len(content) - 1)
        if self.hub.deaf:
            self._answer(200, {}, content)
        else:
            place = f"bytes {start}-{end}/{len(content)}"
            self._answer(206, {"Content-Range": place}, content[start : end + 1])

    def _file(self) -> None:
        found = self.hub.files.get(self.path.partition("?")[0])
        self._answer(404 if found is None else 200, found or {})

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_said: object) -> None:
        """Say nothing."""


@contextmanager
def hub() -> Iterator[Hub]:
    """Run the server on a port of its own while the block runs."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": state}))
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
