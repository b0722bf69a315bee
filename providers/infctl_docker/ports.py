"""Owns which ports of a host's loopback replicas are given: what runs, or may run again, there keeps its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

from infctl_docker.hosts import Host
from infctl_docker.labels import MADE
from infctl_docker.proxy_ports import Range, candidates


class Ports:
    """The ports of all hosts of a target, each host's looked at once in a run."""

    def __init__(self, between: Range) -> None:
        self._between = between
        self._taken: dict[str, set[int]] = {}
        self._lock = threading.Lock()

    def offer(self, host: Host, ident: str) -> Iterator[int]:
        """Yield ports that no container of infctl's has, the same ones first for the same object.

        Whether somebody else listens there shows when a container is started.
        """
        for port in candidates(ident, self._between):
            with self._lock:
                taken = self._taken.setdefault(host.name, set()) or self._look(host)
                if port in taken:
                    continue
                taken.add(port)
            yield port

    def _look(self, host: Host) -> set[int]:
        listed = host.api.containers(all=True, filters={"label": MADE})
        found = {int(json.loads(one["Labels"][MADE]).get("port") or 0) for one in listed}
        self._taken[host.name] = found | {0}
        return self._taken[host.name]
