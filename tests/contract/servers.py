"""How the conformance kit of stores opens one that is a server: with a lease that a busy machine can keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infctl.state.store import Store

SECONDS = 2.0


@dataclass(frozen=True)
class Server:
    """An opener; `open` takes workspace and lease."""

    open: Callable[[str, float], Store]
    quick: float = SECONDS

    def __call__(self, workspace: str = "default", lease: float = 60.0) -> Store:
        return self.open(workspace, lease)
