"""Owns the choice of a proxy's ports: free, ours alone, the same for as long as can be, alike on all hosts. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator

from infctl.provider.errors import ProviderError
from infctl_docker.listening import Listener, is_taken

Range = tuple[int, int]  # first and last, both in it


class Free:
    """Which ports of an address are free."""

    def __init__(
        self, bind: str, between: Range, listeners: Collection[Listener], ours: Collection[int], mine: Collection[int]
    ) -> None:
        self._bind, self._between = bind, between
        self._listeners, self._ours, self._mine = listeners, ours, mine

    def __contains__(self, port: int) -> bool:
        if port in self._mine:
            return True
        return port not in self._ours and not is_taken(self._bind, port, self._listeners)

    def choose(self, seed: str, kept: int) -> int:
        """Return `kept` where it is free, else the first free port from a place that `seed` gives."""
        if kept and kept in self:
            return int(kept)
        found = next((port for port in candidates(seed, self._between) if port in self), None)
        if found is None:
            first, last = self._between
            raise ProviderError(
                f"No port is free on {self._bind}",
                f"all of {first}-{last} are in use",
                hint="give the target another range: ports: [FIRST, LAST]",
            )
        return found


def candidates(seed: str, between: Range) -> Iterator[int]:
    first, last = between
    count = last - first + 1
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") % count
    return (first + (start + step) % count for step in range(count))
