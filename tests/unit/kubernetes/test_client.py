"""Calls to an API server that is busy, gone, or tired of a token: made again as it asks, or told as they failed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infctl_kubernetes.client import Api, UnreachedError
from infctl_kubernetes.errors import ApiError
from infctl_kubernetes.kubeconfig import Access

Answer = tuple[int, dict[str, Any], dict[str, str]]


class Server:
    """Gives the answers that it was told, one after the other; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
                status, body, headers = outer.answers.pop(0)
                text = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PATCH = do_DELETE = do_POST = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def status(code: int, reason: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": code, "reason": reason, "message": f"{reason}!", **more}


def test_a_busy_server_is_asked_again_after_the_time_that_it_wants(server: Server) -> None:
    server.answers = [(429, status(429, "TooManyRequests"), {"Retry-After": "1"}), (200, {"a": 1}, {})]
    api = Api(Access(server.url, login={"token": "t"}))
    assert api.get("/x", labelSelector="a=b,c in (d)") == {"a": 1}
    assert server.asked == [("GET", "/x?labelSelector=a%3Db%2Cc%20in%20%28d%29", "Bearer t")] * 2
    api.close()


def test_a_server_that_stays_busy_is_an_error_once_patience_ends(server: Server) -> None:
    server.answers = [(429, status(429, "TooManyRequests"), {"Retry-After": "30"})]
    api = Api(Access(server.url))
    with pytest.raises(ApiError) as caught:
        api.get("/x", patience=1)
    assert (caught.value.status, caught.value.after) == (429, 30.0)
    api.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(403, "Forbidden"), (404, "NotFound"), (409, "Conflict"), (422, "Invalid"), (500, "InternalError")],
)
def test_a_last_word_is_told_at_once(code: int, reason: str, server: Server) -> None:
    server.answers = [(code, status(code, reason), {})]
    api = Api(Access(server.url))
    with pytest.raises(ApiError, match=f"{reason}!"):
        api.put("/x", {}, "infctl")
    assert len(server.asked) == 1
    api.close()


def test_a_token_that_is_no_longer_taken_is_had_again_once(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t", "utf-8")
    no: Answer = (401, status(401, "Unauthorized"), {})
    server.answers = [no, (200, {"a": 1}, {}), no, no]
    api = Api(Access(server.url, login={"tokenFile": str(tmp_path / "token")}))
    assert api.get("/x") == {"a": 1}
    with pytest.raises(ApiError):
        api.get("/x")
    assert len(server.asked) == 4
    api.close()


def test_a_list_is_read_page_by_page(server: Server) -> None:
    server.answers = [
        (200, {"items": [{"n": 1}, {"n": 2}], "metadata": {"continue": "more"}}, {}),
        (200, {"items": [{"n": 3}], "metadata": {}}, {}),
    ]
    api = Api(Access(server.url))
    assert [each["n"] for each in api.pages("/x")] == [1, 2, 3]
    assert [path for _, path, _ in server.asked] == ["/x?limit=500", "/x?limit=500&continue=more"]
    api.close()


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    api = Api(Access("http://127.0.0.1:9"))
    with pytest.raises(UnreachedError, match=r"127\.0\.0\.1:9 does not answer") as caught:
        api.get("/x", patience=0.1)
    assert "refused" in caught.value.diagnostics[0].detail
    api.close()


def test_what_is_not_there_is_none(server: Server) -> None:
    server.answers = [(404, status(404, "NotFound"), {})]
    api = Api(Access(server.url))
    assert api.find("/x") is None
    api.close()
