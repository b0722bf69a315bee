"""Owns who answers the next request of a route, and how many each backend is answering now.

Knows nothing of HTTP, files or sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from dataclasses import dataclass

from infctl_local.routes import Backend, Route


@dataclass(slots=True)
class Load:
    """What one backend does and did since the relay started. `score` is the rotation's own."""

    backend: Backend
    in_flight: int = 0
    requests: int = 0
    failures: int = 0
    score: int = 0


class Balance:
    """The backends of one route: those that get new requests, and those that still finish old ones."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.requests = 0
        self.failures = 0  # answered with 5xx by the relay, or broken off
        self._loads: list[Load] = [Load(backend) for backend in route.backends]
        self._leaving: list[Load] = []
        self._changed = asyncio.Event()

    def switch(self, route: Route) -> None:
        """Send new requests to this route's backends; one that stays keeps its counts."""
        known = {(load.backend.id, load.backend.url): load for load in (*self._loads, *self._leaving)}
        loads = []
        for backend in route.backends:
            load = known.pop((backend.id, backend.url), None) or Load(backend)
            load.backend = backend
            loads.append(load)
        self.route, self._loads, self._leaving = route, loads, list(known.values())
        self._changed.set()
        self._changed = asyncio.Event()

    def pick(self, tried: Container[str]) -> Load | None:
        """Return whose turn it is, leaving out the ids in `tried`; None when nobody is left.

        Smooth weighted round robin, as in nginx (ngx_http_upstream_round_robin.c): each backend gains its
        weight, the highest is chosen and pays the sum, so that turns of one backend are spread out.
        """
        ready = [load for load in self._loads if load.backend.weight and load.backend.id not in tried]
        if not ready:
            return None
        for load in ready:
            load.score += load.backend.weight
        chosen = max(ready, key=lambda load: load.score)
        chosen.score -= sum(load.backend.weight for load in ready)
        return chosen

    def active(self) -> tuple[Load, ...]:
        return tuple(self._loads)

    def leaving(self) -> tuple[Load, ...]:
        """Return the backends that left the route and still answer somebody."""
        self._leaving = [load for load in self._leaving if load.in_flight]
        return tuple(self._leaving)

    async def wait_for_switch(self, timeout_s: float) -> None:
        """Return at the next switch, or after `timeout_s` seconds."""
        changed = self._changed
        try:
            await asyncio.wait_for(changed.wait(), timeout_s)
        except TimeoutError:
            return
