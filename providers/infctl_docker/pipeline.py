"""Owns asking a daemon many things at once: HTTP/1.1 GETs written one behind the other, answers read in order.

The read path of every plan, so without docker-py: one round trip, however many questions. Knows no Docker objects.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO, NamedTuple

from infctl_docker.errors import HostDown, cut, not_docker
from infctl_docker.streams import Stream, Tap

# Requests under way at once. At about 120 bytes each they fit into a socket's buffer (64 KiB and more), so that
# writing them cannot wait for answers that nobody reads yet.
WINDOW = 400
CHUNK = 256 * 1024


class Answer(NamedTuple):
    """What the daemon said to one GET."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body's value. Raises ValueError when it is no JSON."""
        return json.loads(self.body)


class Asked(NamedTuple):
    """The answers that came, in order, and whether the stream can be asked more. `why` nothing further came."""

    answers: tuple[Answer, ...]
    whole: bool
    why: HostDown | None = None


def ask(stream: Stream, paths: Sequence[str]) -> Asked:
    """GET `paths` on one stream. What came before it broke or was closed is returned: GETs can be asked again."""
    requests = tuple(map(_request, paths))
    answers: list[Answer] = []
    sent = 0
    try:
        with io.BufferedReader(Tap(stream), CHUNK) as reader:
            while len(answers) < len(paths):
                if sent < len(paths) and sent - len(answers) <= WINDOW // 2:
                    upto = len(answers) + WINDOW
                    stream.sendall(b"".join(requests[sent:upto]))
                    sent = min(upto, len(paths))
                answer, more = _read_answer(reader, stream.link.place)
                answers.append(answer)
                if not more:
                    return Asked(tuple(answers), whole=False)
    except HostDown as down:
        return Asked(tuple(answers), whole=False, why=down)
    return Asked(tuple(answers), whole=True)


def _request(path: str) -> bytes:
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise ValueError(f"not the path of a request: {path!r}")
    return f"GET {path} HTTP/1.1\r\nHost: docker\r\n\r\n".encode()


def _read_answer(reader: BinaryIO, place: str) -> tuple[Answer, bool]:
    """Read one answer; say whether another may follow on this stream."""
    while True:
        status = _status(reader.readline(65_536), place)
        headers = _headers(reader, place)
        if status >= 200 or status == 101:  # noqa: PLR2004  # 100 Continue and its like come before the answer
            break
    closes = headers.get("connection", "").lower() == "close"
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, _chunks(reader, place)), not closes
    if status in {204, 304}:
        return Answer(status, b""), not closes
    if "content-length" in headers:
        return Answer(status, _exactly(reader, int(headers["content-length"]), place)), not closes
    return Answer(status, reader.read()), False


def _status(line: bytes, place: str) -> int:
    parts = line.split(None, 2)
    if not line:
        raise cut(place, "no answer came")
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():  # noqa: PLR2004
        raise not_docker(place, line)
    return int(parts[1])


def _headers(reader: BinaryIO, place: str) -> dict[str, str]:
    headers = {}
    while (line := reader.readline(65_536)) not in {b"\r\n", b"\n"}:
        if not line:
            raise cut(place, "it ended in the middle of an answer")
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _chunks(reader: BinaryIO, place: str) -> bytes:
    body: list[bytes] = []
    while True:
        line = reader.readline(1024).partition(b";")[0]
        try:
            size = int(line, 16)
        except ValueError:
            raise cut(place, "it ended in the middle of an answer") from None
        if not size:
            _headers(reader, place)  # trailers, and the empty line
            return b"".join(body)
        body.append(_exactly(reader, size, place))
        reader.readline(8)


def _exactly(reader: BinaryIO, size: int, place: str) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise cut(place, "it ended in the middle of an answer")
    return data
