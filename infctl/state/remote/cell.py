"""Owns the lock of a shared state: a `lease.Cell` in its head.

Whoever takes the lock replaces the head, so that every write of the holder before finds another one.
"""

from __future__ import annotations

import secrets

from infctl.diagnostics import InfctlError
from infctl.frozen import replace
from infctl.state import lease
from infctl.state.problems import STATE_TOO_NEW
from infctl.state.remote.head import Head, checksum
from infctl.state.remote.names import highest_fence
from infctl.state.remote.register import DeclinedError, Edit, Register


class HeadCell:
    """The lock in the head of `register`."""

    def __init__(self, register: Register) -> None:
        self._register = register
        self._place = register.place

    def read(self) -> bytes | None:
        return self._register.fetch().head.lock.encode() or None

    def take(self, old: bytes | None, mine: lease.Held) -> lease.Held | None:
        dead = lease.decode(old) if old else None
        if not self._place.enter(mine.id, dead.id if dead else ""):
            return None
        held = mine

        def edit(head: Head) -> Head:
            nonlocal held
            _expect(head, old)
            self._set_aside(head)
            names = () if head.seq else self._place.names()
            held = replace(mine, fence=max(head.fence, highest_fence(names)) + 1)
            return replace(head, fence=held.fence, lock=lease.encode(held).decode())

        try:
            self._register.change(edit)
        except DeclinedError:
            self._place.leave()
            return None
        except InfctlError:
            self._place.leave()
            raise
        return held

    def swap(self, old: bytes, new: bytes | None) -> bool:
        def edit(head: Head) -> Head:
            _expect(head, old)
            if head.broken:  # it is taken over once nobody has touched it for a lease
                raise head.broken
            return replace(head, lock=(new or b"").decode())

        if new is not None:
            return self._swap(edit)
        held, ident = lease.decode(old), secrets.token_hex(8)
        if not self._place.enter(ident, held.id if held else ""):
            return False
        try:
            return self._swap(edit)
        finally:
            self._place.leave()

    def _swap(self, edit: Edit) -> bool:
        try:
            self._register.change(edit)
        except DeclinedError:
            return False
        return True

    def _set_aside(self, head: Head) -> None:
        """Keep a head that cannot be read before it is replaced; it may be what `state recover` is asked about."""
        if head.broken is None:
            return
        if any(problem.code == STATE_TOO_NEW for problem in head.broken.diagnostics):
            raise head.broken
        text = self._register.fetch_text()
        self._place.put(f"history/damaged-{checksum(text)[:16]}", text)


def _expect(head: Head, old: bytes | None) -> None:
    if head.lock != (old or b"").decode():
        raise DeclinedError
