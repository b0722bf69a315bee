"""Owns a small Hugging Face Hub that a bed's hosts can reach, and what can go wrong with it.

Speaks as much of its HTTP as downloads need (huggingface.co/docs/hub/api; huggingface_hub, file_download.py):
/api/models/REPO[/revision/REV], /REPO/resolve/REV/FILE with the headers of a file, ranges, and a redirect to another
address for large files, as the real one does.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.testbed.bed import Bed

LARGE = 100_000  # bytes: files from here on are "LFS" and lie elsewhere
CHUNK = 65_536
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
MODEL = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")


class Asked(NamedTuple):
    method: str
    path: str
    range: str
    token: str


@dataclass
class Repo:
    files: dict[str, bytes] = field(default_factory=dict)
    token: str = ""  # who has another or none is told that the repository is gated

    @property
    def commit(self) -> str:
        said = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(self.files.items())]
        return hashlib.sha1("\n".join(said).encode(), usedforsecurity=False).hexdigest()


class Hub:
    """`url` is what HF_ENDPOINT would be. `asked` is everything that was asked for."""

    def __init__(self, bed: Bed, port: int = 5002) -> None:
        self.repos: dict[str, Repo] = {}
        self.asked: list[Asked] = []
        self.cut_after: int | None = None  # bytes of a body; then the connection ends
        self.bytes_per_second = 0  # 0: as fast as it goes
        self.wrong = False  # the last byte of a file is another than it should be
        self._server = _Server((bed.address, port), self)
        self.url = f"http://{bed.address}:{port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        bed.closing.append(self.close)

    def put(self, repo: str, files: Mapping[str, bytes], token: str = "") -> str:
        """Hold a repository ("acme/tiny") of these files and no others; returns its commit."""
        self.repos[repo] = Repo(dict(files), token)
        return self.repos[repo].commit

    def well(self) -> None:
        """Undo every fault, and forget what was asked and held."""
        self.cut_after, self.bytes_per_second, self.wrong = None, 0, False
        self.asked.clear()
        self.repos.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], hub: Hub) -> None:
        self.hub = hub
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:  # http.server calls it so
        hub, path = self.server.hub, self.path.partition("?")[0]
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        hub.asked.append(Asked(self.command, path, self.headers.get("Range", ""), token))
        if path.startswith("/stored/"):
            digest = path.removeprefix("/stored/")
            found = [file for repo in hub.repos.values() for file in repo.files.values() if _sha256(file) == digest]
            self._give(found[0] if found else None)
        elif asked := RESOLVE.fullmatch(path):
            self._resolve(asked[1], asked[2], asked[3], token)
        elif asked := MODEL.fullmatch(path):
            self._describe(asked[1], asked[2] or "main", token)
        else:
            self._refuse(404, "EntryNotFound", "Not here")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *args: object) -> None:
        """Say nothing: `asked` tells."""

    def _repo(self, name: str, revision: str, token: str) -> Repo | None:
        repo = self.server.hub.repos.get(name)
        if repo is None:
            self._refuse(401, "RepoNotFound", "Repository not found")
        elif repo.token and token != repo.token:
            self._refuse(401 if not token else 403, "GatedRepo", f"Access to model {name} is restricted")
        elif revision not in ("main", repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return repo
        return None

    def _describe(self, name: str, revision: str, token: str) -> None:
        if repo := self._repo(name, revision, token):
            files = [{"rfilename": file, "size": len(content), **_lfs(content)} for file, content in repo.files.items()]
            body = {"id": name, "sha": repo.commit, "gated": bool(repo.token), "siblings": files}
            self._answer(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _resolve(self, name: str, revision: str, file: str, token: str) -> None:
        repo = self._repo(name, revision, token)
        if repo is None:
            return
        if file not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        content = repo.files[file]
        headers = {"X-Repo-Commit": repo.commit, "X-Linked-Size": str(len(content))}
        if len(content) < LARGE:
            self._give(content, {**headers, "ETag": f'"{_blob_id(content)}"'})
        else:
            there = f"{self.server.hub.url}/stored/{_sha256(content)}"
            self._answer(302, {**headers, "X-Linked-Etag": f'"{_sha256(content)}"', "Location": there}, b"")

    def _give(self, content: bytes | None, headers: Mapping[str, str] = {}) -> None:  # never changed
        if content is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        said = {"ETag": f'"{_sha256(content)}"', "Accept-Ranges": "bytes", **headers}
        body = content[:-1] + bytes([content[-1] ^ 1]) if self.server.hub.wrong else content
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self._answer(200, said, body)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(body) - 1), len(body) - 1)
        if first > last:
            self._answer(416, {**said, "Content-Range": f"bytes */{len(body)}"}, b"")
            return
        self._answer(206, {**said, "Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first : last + 1])

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._answer(status, headers, json.dumps({"error": message}).encode())

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        hub = self.server.hub
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        until = len(body) if hub.cut_after is None else min(hub.cut_after, len(body))
        for start in range(0, until, CHUNK):
            part = body[start : min(start + CHUNK, until)]
            self.wfile.write(part)
            if hub.bytes_per_second:
                time.sleep(len(part) / hub.bytes_per_second)
        self.close_connection = self.close_connection or until < len(body)


def _lfs(content: bytes) -> dict[str, object]:
    if len(content) < LARGE:
        return {"blobId": _blob_id(content)}
    return {"blobId": _blob_id(content), "lfs": {"sha256": _sha256(content), "size": len(content)}}


def _blob_id(content: bytes) -> str:
    """Return git's id of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
