"""Owns waiting until an object answers. Knows nothing of what an answer is: that is the provider's probe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from infctl.provider.errors import ProviderError
from infctl.provider.values import Health, Observed

FIRST_PAUSE = 0.02  # seconds: a small model on this machine answers within a few of these
LONGEST_PAUSE = 1.0
LOOK_EVERY = 5.0  # seconds: what an engine writes while it loads is all that it tells
GROWTH = 1.5


def wait_ready(
    probe: Callable[[Observed], Health],
    what: Observed,
    *,
    timeout: float,
    abandon: threading.Event,
    tell: Callable[[str], None],
    words: Callable[[], str] = lambda: "",
    clock: Callable[[], float] = time.monotonic,
) -> Health | None:
    """Ask `probe` until `what` is ready, dead, or `timeout` seconds have passed; return its last word.

    None when `abandon` was set meanwhile. `tell` hears each new detail, and the last of what the object wrote as
    `words` gives it. A probe that raises ProviderError
    counts as "not ready yet": the place may be back before the time is over.
    """
    deadline = clock() + timeout
    pause, look_at = FIRST_PAUSE, clock() + LOOK_EVERY
    said, wrote = None, ""
    while True:
        try:
            health = probe(what)
        except ProviderError as failure:
            health = Health(ready=False, detail=failure.diagnostics[0].summary)
        if health.ready or health.dead or clock() >= deadline:
            return health
        if clock() >= look_at:
            look_at, wrote = clock() + LOOK_EVERY, words()
        detail = health.detail + (f"; its log: {wrote}" if wrote else "")
        if detail != said:
            said = detail
            tell(said)
        if abandon.wait(min(pause, max(0.0, deadline - clock()))):
            return None
        pause = min(LONGEST_PAUSE, pause * GROWTH)
