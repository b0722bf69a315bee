"""Owns the wish to stop: asked by a signal or a deadline, obeyed by whoever waits.

Installing signal handlers is the command line's. Knows nothing of steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

GRACE = 5.0  # seconds; DESIGN, invariant 14: waits are abandoned within 5 s


class Interrupt:
    """A wish to stop gently. Safe to ask from a signal handler and from any thread; the first reason stays.

    `timeout` is seconds from now until the run asks itself to stop (None: never), `grace` the seconds that it
    then waits for what is in progress. A second request
    (`asked_again`) means "stop at once", without waiting for anything: the journal makes that safe.
    """

    def __init__(
        self, timeout: float | None = None, *, grace: float = GRACE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.grace = grace
        self._clock = clock
        self._deadline = None if timeout is None else clock() + timeout
        self._wake: Callable[[], None] | None = None
        self.asked = threading.Event()
        self.asked_again = False
        self.reason = ""

    def request(self, reason: str) -> None:
        """Ask to stop. `reason` is a short phrase: "SIGINT", "-timeout of 600s"."""
        if self.asked.is_set():
            self.asked_again = True
        else:
            self.reason = reason
            self.asked.set()
        if self._wake is not None:
            self._wake()

    def due(self) -> bool:
        """Return whether to stop: it was asked, or the deadline has passed."""
        if self._deadline is not None and self._clock() >= self._deadline and not self.asked.is_set():
            self.request("-timeout")
        return self.asked.is_set()

    def remaining(self) -> float | None:
        """Return seconds until the deadline, never below 0; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._clock())

    def on_request(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever asked; it runs in the asker's thread or signal handler."""
        self._wake = wake
        if self.asked.is_set():
            wake()
