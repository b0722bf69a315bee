"""Owns mutual exclusion for a moment: compare-and-swap on files, by flock on a file of its own.

The system lets go of it when a process dies; one that is stopped inside keeps it, so nobody waits for ever.
Knows nothing of what is guarded.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infctl.diagnostics import Code, InfctlError, error
from infctl.state.disk import writing

STATE_BUSY = Code(
    "state-busy",
    "Another process has been in the middle of a write to the state for too long: it is stopped, or its disk is.",
    "See which process it is with `fuser FILE`, let it go on (`fg`, `kill -CONT`) or end it, and run again.",
)
_PAUSE = 0.002  # seconds between two tries


class Guard:
    """Held for milliseconds at a time. `patience` in seconds; then error[state-busy]."""

    def __init__(self, path: Path, patience: float) -> None:
        self._path, self._patience = path, patience
        self._threads = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises InfctlError (state-busy, state-unwritable)."""
        until = time.monotonic() + self._patience
        if not self._threads.acquire(timeout=self._patience):
            raise self._busy()
        try:
            handle = self._open()
            try:
                while not self._try(handle):
                    if time.monotonic() > until:
                        raise self._busy()
                    time.sleep(_PAUSE)
                yield
            finally:
                os.close(handle)  # and with it the lock
        finally:
            self._threads.release()

    def _open(self) -> int:
        with writing(self._path):
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)

    def _try(self, handle: int) -> bool:
        with writing(self._path):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _busy(self) -> InfctlError:
        return InfctlError(
            error(
                STATE_BUSY,
                f"{self._path} is held by a process that does not move",
                f"waited {self._patience:g} s",
                hint=f"fuser {self._path} names it: let it go on (kill -CONT) or end it, and run again",
            )
        )
