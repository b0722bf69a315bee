"""The probe over HTTP against real servers: what counts as an answer, and what is said when there is none."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infctl.provider.readiness import ask
from infctl.provider.values import Probe

COMPLETION = {"choices": [{"text": "x"}]}
EMBEDDING = {"data": [{"embedding": [0.1]}]}
LOADING = (503, {"error": {"message": "Loading model", "code": 503}})
Answer = tuple[int, Any]


@contextmanager
def engine(*answers: Answer, pause: float = 0.0) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Serve `answers` one after the other, the last for ever; yield the address and what was asked."""
    asked: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked.append((self.path, json.loads(self.rfile.read(length)) if length else None))
            time.sleep(pause)
            status, body = answers[min(len(asked), len(answers)) - 1]
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            with suppress(BrokenPipeError):  # whoever asked may have gone
                self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


COMPLETIONS = Probe("completions", "/v1/completions", "chat")
EMBEDDINGS = Probe("embeddings", "/v1/embeddings", "embed")
HEALTH = Probe("http", "/healthz")


@pytest.mark.parametrize(
    ("probe", "answer", "request_"),
    [
        (COMPLETIONS, COMPLETION, {"model": "chat", "prompt": "Hello", "max_tokens": 1, "temperature": 0}),
        (EMBEDDINGS, EMBEDDING, {"model": "embed", "input": "Hello"}),
        (HEALTH, b"fine", None),
    ],
)
def test_an_answer_is_ready(probe: Probe, answer: Any, request_: Any) -> None:
    with engine((200, answer)) as (url, asked):
        assert ask(url, probe).ready
    assert asked == [(probe.path, request_)]


def test_warmup_asks_several_times_and_all_must_succeed() -> None:
    three = Probe("completions", "/v1/completions", "chat", requests=3)
    with engine((200, COMPLETION)) as (url, asked):
        assert ask(url, three).ready
        assert len(asked) == 3
    with engine((200, COMPLETION), LOADING) as (url, asked):
        assert not ask(url, three).ready


@pytest.mark.parametrize(
    ("probe", "answer", "detail"),
    [
        (COMPLETIONS, LOADING, "/v1/completions says 503: Loading model"),
        (COMPLETIONS, (404, {"error": "no such model"}), "/v1/completions says 404: no such model"),
        (COMPLETIONS, (500, b"Traceback\n  boom"), "/v1/completions says 500: Traceback boom"),
        (COMPLETIONS, (200, {"choices": []}), '/v1/completions answers without a completion: {"choices": []}'),
        (COMPLETIONS, (200, b"<html>"), "/v1/completions answers without a completion: <html>"),
        (EMBEDDINGS, (200, {"data": [{"embedding": []}]}), "/v1/embeddings answers without an embedding"),
        (EMBEDDINGS, (200, {"data": {}}), "/v1/embeddings answers without an embedding"),
        (HEALTH, (302, b""), "/healthz says 302"),
    ],
)
def test_anything_else_is_not_ready_and_says_what_came(probe: Probe, answer: Answer, detail: str) -> None:
    with engine(answer) as (url, _):
        health = ask(url, probe)
    assert (health.ready, health.dead) == (False, False)
    assert health.detail.startswith(detail)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        health = ask(f"http://127.0.0.1:{taken.getsockname()[1]}", HEALTH)
    assert (health.ready, health.detail) == (False, "nothing listens there yet")


def test_an_answer_that_does_not_come() -> None:
    with engine((200, COMPLETION), pause=0.4) as (url, _):
        assert ask(url, COMPLETIONS, timeout=0.1).detail == "no answer within 0.1s"


def test_what_is_no_probe_is_a_defect() -> None:
    with pytest.raises(ValueError, match="completions, embeddings, http"):
        ask("http://127.0.0.1:1", Probe("tcp", "/"))
