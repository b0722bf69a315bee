"""Owns the store of a shared state, over any place that has conditional writes.

    head                                   who holds the lock; which snapshot counts; what was done since, while small
    history/SERIAL-FENCE-….json            the snapshot, and the last ten before
    journal/SERIAL/FENCE-NUMBER-….jsonl    what was done since the snapshot, once it is larger

Everything that is decided is one replacement of the head (docs/decisions/0021). Knows no particular place.
"""

from __future__ import annotations

import os
import re

from infctl.address import NAME_PATTERN
from infctl.frozen import replace
from infctl.provider import faults
from infctl.state import lease
from infctl.state.problems import damaged
from infctl.state.remote.cell import HeadCell
from infctl.state.remote.head import Head
from infctl.state.remote.place import Place, unwritable
from infctl.state.remote.reader import Reader
from infctl.state.remote.register import DeclinedError, Register
from infctl.state.remote.seal import Seal
from infctl.state.remote.writer import RemoteLease
from infctl.state.store import DEFAULT_WORKSPACE, LEASE_SECONDS, NO_WORKSPACES, Loaded, LockInfo, Salvaged, Waiting

POLL = (0.1, 2.0)  # seconds between two looks at a held lock, at first and at last: each is a request
_KEY_BYTES = 32
_KEY = "digest key"


class RemoteStore:
    """The state of one stack in one workspace. `lease` in seconds. Nothing is made before it is needed."""

    def __init__(self, place: Place, workspace: str, seal: Seal, *, lease: float = LEASE_SECONDS) -> None:
        self.workspace = workspace
        self._place, self._seal, self._lease = place, seal, lease
        self._register = Register(place)
        self._reader = Reader(self._register, seal)
        self._cell = HeadCell(self._register)

    @property
    def location(self) -> str:
        return self._place.location

    def load(self) -> Loaded:
        return self._reader.load()

    def salvage(self) -> Salvaged:
        return self._reader.salvage()

    def lock(self, who: str, operation: str, *, timeout: float = 0.0, waiting: Waiting | None = None) -> RemoteLease:
        faults.point("lock: before acquire")
        heart = lease.acquire(
            self._cell, self._lease, who, operation,
            timeout=timeout, waiting=waiting, location=self.location, poll=POLL,
        )  # fmt: skip
        faults.point("lock: acquired")
        return RemoteLease(self._register, self._reader, self._seal, heart)

    def lock_info(self) -> LockInfo | None:
        return lease.holder_of(self._cell)

    def force_unlock(self, ident: str) -> LockInfo:
        return lease.open_by_force(self._cell, ident)

    def digest_key(self, initial: bytes = b"") -> bytes:
        head = self._register.fetch().head
        if not head.key or not self._seal.is_current(head.key.encode()):
            key = self._opened(head) or initial or os.urandom(_KEY_BYTES)
            head = self._keep_key(key)
        return self._opened(head)

    def _keep_key(self, key: bytes) -> Head:
        def edit(head: Head) -> Head:
            if head.broken:
                raise head.broken
            if head.key and self._seal.is_current(head.key.encode()):
                raise DeclinedError
            sealed = self._seal.close(key.hex().encode(), _KEY)
            return replace(head, key=sealed.decode())

        try:
            return self._register.change(edit)
        except DeclinedError:  # another run was quicker
            return self._register.fetch().head

    def _opened(self, head: Head) -> bytes:
        """Return the digest key in `head`, b"" where there is none."""
        text = self._seal.open(head.key.encode(), _KEY, f"{self.location} ({_KEY})")
        if text and not re.fullmatch(rb"[0-9a-f]{64}", text):
            raise damaged(f"{self.location} ({_KEY})", "it is not a key of 64 hex digits")
        return bytes.fromhex(text.decode())

    def workspaces(self) -> tuple[str, ...]:
        found = {name for name in self._place.workspaces() if re.fullmatch(NAME_PATTERN, name)} - NO_WORKSPACES
        return tuple(sorted({DEFAULT_WORKSPACE} | found))

    def create(self) -> None:
        def edit(head: Head) -> Head:
            if head.seq or head.broken:
                raise DeclinedError
            return head

        try:
            self._register.change(edit)
        except DeclinedError:
            return

    def delete(self) -> None:
        """The head goes last: until then it says that somebody is at work."""
        if not self._register.fetch().tag:
            return
        with self.lock("infctl", "workspace delete"):
            for name in self._place.names():
                self._place.drop(name)
            erased = self._register.erase()
        if not erased:
            raise unwritable(self.location, "its head was replaced meanwhile")
