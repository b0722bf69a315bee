"""Owns changing the head of a shared state by compare-and-swap, whatever becomes of the answers.

A write whose answer was lost is looked up: each has a nonce of its own. Knows no lease; what a change is, the caller
says. One register is used by several threads: the heart's, and those that append.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from infctl.diagnostics import InfctlError
from infctl.frozen import replace
from infctl.state.remote.head import Head, decode, encode
from infctl.state.remote.names import snapshots
from infctl.state.remote.place import NO_FENCING, Place, unwritable

_MOST_REFUSED = 8
_PAUSE = 0.05  # seconds
Edit = Callable[[Head], Head]


class DeclinedError(Exception):
    """A change does not apply to the head that is there."""


class Seen(NamedTuple):
    """A head as it was found, or written, last; without `tag` there is none."""

    head: Head
    tag: str
    text: bytes = b""


class Register:
    """The head of one place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._mutex = threading.Lock()
        self._last: Seen | None = None

    def fetch(self) -> Seen:
        """Return the head as it is now. Raises InfctlError (state-unreadable, state-too-new ...)."""
        with self._mutex:
            return self._fetch()

    def fetch_text(self) -> bytes:
        """Return the text of the head that was seen last."""
        return self._last.text if self._last else b""

    def _fetch(self) -> Seen:
        found = self.place.read()
        if found is None:
            self._last = Seen(self._first(Head()), "")
        elif self._last is None or self._last.text != found.text:
            head = decode(found.text, self.place.location)
            self._last = Seen(head if head.seq else self._first(head), found.tag, found.text)
        else:
            self._last = self._last._replace(tag=found.tag)
        return self._last

    def _first(self, head: Head) -> Head:
        """Return a head to begin with, where there is none that can be read: it is no beginning beside snapshots."""
        return replace(head, lost=bool(snapshots(self.place.names())))

    def change(self, edit: Edit) -> Head:
        """Replace the head by what `edit` makes of it, and return it so.

        `edit` may be asked several times, about ever newer heads, and what it raises is raised when it is about the
        newest. Raises InfctlError (state-unwritable ...) where nobody knows whether the write counts: what was to be
        written is then either there, or never will be under this nonce.
        """
        nonce = os.urandom(8).hex()
        with self._mutex:
            seen, fresh = (self._last, False) if self._last else (self._fetch(), True)
            refused = 0
            while True:
                if seen.head.nonce == nonce:  # the answer to it was lost, or one try overtook another
                    return seen.head
                try:
                    new = replace(edit(seen.head), seq=seen.head.seq + 1, nonce=nonce, broken=None)
                except (InfctlError, DeclinedError):
                    if fresh:
                        raise
                else:
                    written = self._write(new, seen.tag)
                    if written:
                        return written.head
                before, (seen, fresh) = seen, (self._fetch(), True)
                refused = refused + 1 if fresh and seen.tag == before.tag else 0
                if refused:
                    self._wait(refused)

    def _wait(self, refused: int) -> None:
        """Wait a little where a write was refused although nothing had changed: places say so when they are busy."""
        if refused > _MOST_REFUSED:
            reason = f"it refused {refused} writes although nobody else wrote"
            raise unwritable(
                self.place.location, reason, "see whether it has conditional writes, as docs/guides/state.md asks"
            )
        time.sleep(_PAUSE * refused)

    def _write(self, new: Head, tag: str) -> Seen | None:
        """Return the head as written; None where another was found."""
        text = encode(new)
        try:
            written = self.place.write(text, tag)
        except InfctlError as failure:
            if any(each.code == NO_FENCING for each in failure.diagnostics) or self._fetch().head.nonce != new.nonce:
                raise
            return self._last
        self._last = Seen(new, written, text) if written else None
        return self._last

    def erase(self) -> bool:
        """Remove the head as it was seen last; False where it is another by now."""
        with self._mutex:
            seen, self._last = self._last, None
            return seen is None or not seen.tag or self.place.erase(seen.tag)
