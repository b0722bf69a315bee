"""Owns the threads that work. They are daemons: a call that hangs must not keep the process alive.

Knows nothing of what the work is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Hands(Generic[Work]):
    """At most `count` threads, started when needed, each doing one piece of work at a time."""

    def __init__(self, count: int, do: Callable[[Work], None]) -> None:
        self._count = count
        self._do = do
        self._started = 0
        self._queue: SimpleQueue[Work | None] = SimpleQueue()

    def give(self, work: Work, busy: int) -> None:
        """Have `work` done; `busy` pieces are being done already."""
        if self._started <= busy and self._started < self._count:
            threading.Thread(target=self._loop, name=f"apply-{self._started}", daemon=True).start()
            self._started += 1
        self._queue.put(work)

    def release(self) -> None:
        """Let every thread end once what it does is done."""
        for _ in range(self._started):
            self._queue.put(None)

    def _loop(self) -> None:
        while (work := self._queue.get()) is not None:
            self._do(work)
