"""Owns one request to a server that keeps a state, and its answer. Knows no protocol but HTTP; follows no redirects of
what changes something.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import urllib.error
import urllib.request
from typing import NamedTuple
from urllib.parse import urlencode

from infctl.secrets import Secret
from infctl.state.remote.place import forbidden, unreadable, unwritable

_FORBIDDEN = frozenset({401, 403})
_SHOWN = 200  # characters of an answer in a message


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300  # noqa: PLR2004  -- RFC 9110, 15.3

    @property
    def said(self) -> str:
        text = " ".join(self.body.decode(errors="replace").split())[:_SHOWN]
        return f"HTTP {self.status}{': ' if text else ''}{text}"


class Web:
    """Asks with basic authentication where there is a user; `timeout` in seconds."""

    def __init__(self, username: str, password: Secret, timeout: float) -> None:
        self._username, self._password, self._timeout = username, password, timeout

    def ask(self, method: str, address: str, body: bytes = b"", *, query: str = "") -> Answer:
        """Return the answer; `query` is a lock's id. Raises InfctlError where there is no whole answer, or no right to
        one: what was asked may or may not have been done.
        """
        url = address + ("&" if "?" in address else "?") + urlencode({"ID": query}) if query else address
        request = urllib.request.Request(url, body or None, self._headers(body), method=method)  # noqa: S310  -- http(s): the spec
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                found = Answer(answer.status, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                found = Answer(refusal.code, refusal.read())
        except (OSError, http.client.HTTPException, ValueError) as failure:
            failed = unreadable if method == "GET" else unwritable
            raise failed(address, str(getattr(failure, "reason", "") or failure or type(failure).__name__)) from failure
        if found.status in _FORBIDDEN:
            raise forbidden(address, found.said, "correct state.username and where state.password comes from")
        return found

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"User-Agent": "infctl"}
        if self._username:
            pair = f"{self._username}:{self._password.reveal()}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        if body:
            headers["Content-Type"] = "application/json"
            digest = hashlib.md5(body, usedforsecurity=False).digest()  # a checksum that the protocol asks for
            headers["Content-MD5"] = base64.b64encode(digest).decode()
        return headers
