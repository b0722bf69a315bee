"""Owns talking to a running relay: set and drop routes, see who is busy, wait for a backend to be free.

Blocking and plain stdlib, so that the command line does not load an HTTP server. Knows nothing of routes' files.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infctl_local.routes import Route, socket_path

TIMEOUT_S = 30.0
POLL_S = 0.05


class RelayError(Exception):
    """The relay cannot be reached, or refused a command; the text says why. `errno`: the system's reason, else 0."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """`in_flight`: requests that it is answering now. `draining`: it left the route, and only finishes those."""

    id: str
    url: str
    weight: int
    in_flight: int
    requests: int
    failures: int
    draining: bool


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """`problem` says why it is not `listening`. Counts are since the relay process started."""

    model: str
    bind: str
    port: int
    served_names: tuple[str, ...]
    listening: bool
    problem: str
    requests: int
    failures: int
    backends: tuple[BackendStatus, ...]


@dataclass(frozen=True, slots=True)
class RelayStatus:
    """`unreadable`: per model, what is wrong with its route's file."""

    pid: int
    routes: tuple[RouteStatus, ...]
    unreadable: Mapping[str, str]

    def in_flight(self, backend_id: str) -> int:
        backends = (backend for route in self.routes for backend in route.backends)
        return sum(backend.in_flight for backend in backends if backend.id == backend_id)


class RelayClient:
    """The relay of one directory. Each call is a connection of its own. All raise RelayError."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put_route(self, route: Route) -> RelayStatus:
        """Make this the model's route. When it returns, new requests go to its backends only."""
        return _parse_status(self._call("PUT", f"/routes/{route.model}", route.to_json()))

    def delete_route(self, model: str) -> RelayStatus:
        """Close the model's address. Safe to repeat."""
        return _parse_status(self._call("DELETE", f"/routes/{model}"))

    def status(self) -> RelayStatus:
        return _parse_status(self._call("GET", "/status"))

    def wait_ready(self, timeout_s: float) -> RelayStatus:
        """Return the status once the relay answers, which it does some 0.3 s after its start."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self.status()
            except RelayError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(POLL_S)

    def wait_drained(self, backend_id: str, timeout_s: float) -> bool:
        """Wait until the backend answers nobody; False when it still does after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while self.status().in_flight(backend_id):
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _call(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        connection = _UnixConnection(socket_path(self._directory))
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise RelayError(f"the relay in {self._directory} does not answer: {error}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise RelayError(answer["error"], answer.get("errno") or 0)
        return dict(answer)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(str(self._path))


def _parse_status(values: dict[str, Any]) -> RelayStatus:
    routes = []
    for route in values["routes"]:
        backends = tuple(BackendStatus(**backend) for backend in route["backends"])
        routes.append(RouteStatus(**{**route, "backends": backends, "served_names": tuple(route["served_names"])}))
    return RelayStatus(values["pid"], tuple(routes), values["unreadable"])
