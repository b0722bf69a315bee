"""Owns asking an engine over HTTP whether it answers: a real completion, a real embedding, or a health path.

For providers to build their `probe` on. Knows nothing of processes or containers: whether the thing behind the
address is dead is the provider's to say.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from infctl.provider.values import Health, Probe

ANSWER_TIMEOUT = 30.0  # seconds for one answer: one token of a large model on few cores takes some of them
_LONGEST = 1_000_000  # bytes of an answer that are read; an embedding has tens of thousands
_WORDS = 200  # characters of an engine's own words that are passed on

Connect = Callable[[], Any]
Send = Callable[[str, bytes | None, float], tuple[int, bytes]]  # path, body of a POST and timeout; status and answer


def ask(
    url: str,
    probe: Probe,
    *,
    timeout: float = ANSWER_TIMEOUT,
    connect: Connect | None = None,
    send: Send | None = None,
) -> Health:
    """Return whether the engine at `url` (scheme, host and port) answers `probe`, `probe.requests` times in a row.

    Never raises for what an engine or a network does; never says `dead`. `timeout` is for each answer. `connect`
    gives a connected socket, or what http.client takes for one, where the url cannot be reached from here; `send` makes
    the whole call, where only somebody else can: what they raise besides OSError passes through.
    """
    check = _CHECKS.get(probe.kind)
    if check is None:
        raise ValueError(f"a probe is one of {', '.join(_CHECKS)}, not {probe.kind!r}")
    said = _BODIES[probe.kind](probe.model)
    body = None if said is None else json.dumps(said).encode()
    for _ in range(max(1, probe.requests)):
        try:
            status, answer = send(probe.path, body, timeout) if send else _send(url, probe.path, body, timeout, connect)
        except (OSError, http.client.HTTPException) as failure:
            return Health(ready=False, detail=_reason(failure, timeout))
        if not 200 <= status < 300:  # noqa: PLR2004  # HTTP's own numbers
            return Health(ready=False, detail=f"{probe.path} says {status}{_words(answer)}")
        missing = check(answer)
        if missing:
            return Health(ready=False, detail=f"{probe.path} answers without {missing}{_words(answer)}")
    return Health(ready=True)


def _send(url: str, path: str, body: bytes | None, timeout: float, connect: Connect | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    made = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = made(parts.hostname or "", parts.port, timeout=timeout)
    try:
        if connect:
            connection.sock = connect()
            connection.sock.settimeout(timeout)
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(_LONGEST)
    finally:
        connection.close()


def _reason(failure: OSError | http.client.HTTPException, timeout: float) -> str:
    if isinstance(failure, ConnectionRefusedError):
        return "nothing listens there yet"
    if isinstance(failure, http.client.RemoteDisconnected):  # as Docker does while nobody listens in a container
        return "no answer yet"
    if isinstance(failure, TimeoutError):
        return f"no answer within {timeout:g}s"
    return str(failure) or type(failure).__name__


def _words(answer: bytes) -> str:
    """Return what the engine says of itself, as ": Loading model"; errors come in OpenAI's shape or as plain text."""
    found = _parsed(answer)
    error = found.get("error") if isinstance(found, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    text = str(message) if message else answer.decode(errors="replace")
    line = " ".join(text.split())[:_WORDS]
    return f": {line}" if line else ""


def _parsed(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return None


def _no_choice(answer: bytes) -> str:
    found = _parsed(answer)
    return "" if isinstance(found, dict) and found.get("choices") else "a completion"


def _no_embedding(answer: bytes) -> str:
    found = _parsed(answer)
    data = found.get("data") if isinstance(found, dict) else None
    first = data[0] if isinstance(data, list) and data else None
    return "" if isinstance(first, dict) and first.get("embedding") else "an embedding"


def _nothing(_answer: bytes) -> str:
    return ""


_CHECKS: Mapping[str, Callable[[bytes], str]] = {
    "completions": _no_choice,
    "embeddings": _no_embedding,
    "http": _nothing,
}
_BODIES: Mapping[str, Callable[[str], Mapping[str, Any] | None]] = {
    "completions": lambda model: {"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0},
    "embeddings": lambda model: {"model": model, "input": "Hello"},
    "http": lambda _model: None,
}
