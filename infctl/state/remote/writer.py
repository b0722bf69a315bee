"""Owns writing a shared state under a lease: records appended, snapshots replaced.

One durable write carries a wave of records: the head itself, until what it holds is large enough to be kept beside it.
Every write replaces the head as this lease saw it last; another holder has replaced it since, so nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from infctl import __version__
from infctl.diagnostics import InfctlError, error
from infctl.frozen import replace
from infctl.provider import faults
from infctl.state import journal, lease, snapshot
from infctl.state.journal import Record
from infctl.state.model import State
from infctl.state.problems import STATE_CONFLICT
from infctl.state.remote.head import Current, Head, Part, checksum
from infctl.state.remote.names import HISTORY, fence_in, segment_name, serial_in, snapshot_name
from infctl.state.remote.reader import Reader, journal_about, snapshot_about
from infctl.state.remote.register import Register
from infctl.state.remote.seal import Seal

INLINE = 64 * 1024  # bytes of the journal that the head holds itself: each write carries them again


class RemoteLease:
    """A `Lease` of a shared store."""

    def __init__(self, register: Register, reader: Reader, seal: Seal, heart: lease.Heart) -> None:
        self._register, self._reader, self._seal, self._heart = register, reader, seal, heart
        self._place = register.place
        self._swept = False

    @property
    def id(self) -> str:
        return self._heart.held.id

    @property
    def fence(self) -> int:
        return self._heart.held.fence

    def check(self) -> None:
        self._heart.check()

    def append(self, records: Sequence[Record]) -> None:
        if not records:
            return

        def edit(head: Head) -> Head:
            self._verify(head)
            if head.snapshot is None:
                raise ValueError("a journal follows a snapshot: commit a first state before appending")
            return self._appended(head, head.snapshot, records)

        faults.point("journal: before write")
        self._register.change(edit)
        faults.point("journal: written")

    def _appended(self, head: Head, current: Current, records: Sequence[Record]) -> Head:
        about = journal_about(current.serial)
        text = journal.encode(records, head.records + 1, self.fence)
        if not head.records:
            text = journal.encode_header(current.lineage, current.serial) + text
        text = self._reader.tail(head) + text
        count = head.records + len(records)
        sealed = self._seal.close(text, about)
        if len(text) < INLINE or not self._place.holds_parts:
            return replace(head, tail=sealed.decode(), records=count)
        name = segment_name(current.serial, self.fence, head.records + 1)
        self._place.put(name, sealed)
        return replace(head, segments=(*head.segments, Part(name, checksum(sealed))), tail="", records=count)

    def commit(self, state: State, *, force: bool = False) -> None:
        state = replace(state, infctl_version=__version__)
        before = self._register.fetch().head
        self._verify(before)
        self._refuse_unfit(before, state, force=force)
        part = self._stage(state)
        dropped: set[str] = set()

        def edit(head: Head) -> Head:
            self._verify(head)
            if head.serial != before.serial:
                raise self._conflict(f"serial {head.serial} was stored meanwhile")
            new = self._replaced(head, state, part)
            dropped.clear()
            dropped.update(head.named - new.named)
            return new

        after = self._register.change(edit)
        faults.point("snapshot: head written")
        with suppress(InfctlError):  # it is committed; what is left over, the next lease sweeps
            self._sweep(after, dropped)

    def _stage(self, state: State) -> Part:
        """Keep the snapshot where no head speaks of it yet."""
        sealed = self._seal.close(snapshot.encode(state, self.fence), snapshot_about(state.serial))
        if not self._place.holds_parts:
            return Part("", checksum(sealed), sealed.decode())
        name = snapshot_name(state.serial, self.fence)
        faults.point("snapshot: before write")
        self._place.put(name, sealed)
        faults.point("snapshot: written")
        return Part(name, checksum(sealed))

    def _replaced(self, head: Head, state: State, part: Part) -> Head:
        past = (head.snapshot.part.name, *head.history) if head.snapshot else head.history
        highest = max((thing.fence for thing in state.resources.values()), default=0)
        return replace(
            head,
            fence=max(head.fence, highest),  # no later lease may have a fence at or below one that objects carry
            snapshot=Current(state.serial, state.lineage, part),
            history=tuple(name for name in past if name)[:HISTORY],
            segments=(),
            tail="",
            records=0,
            lost=False,
        )

    def _refuse_unfit(self, head: Head, state: State, *, force: bool) -> None:
        """Raise InfctlError (state-conflict) unless `state` follows what is stored."""
        if head.broken and not force:
            raise head.broken
        if force:
            highest = max((head.serial, *map(serial_in, self._place.names())))
            if state.serial <= highest:
                raise self._conflict(f"serial {state.serial} is not above {highest}, which was used before")
        elif head.snapshot is None:
            self._reader.refuse_vanished(head)
        elif head.snapshot.lineage != state.lineage:
            raise self._conflict(f"its lineage is {head.snapshot.lineage}, not {state.lineage}")
        elif head.serial + 1 != state.serial:
            raise self._conflict(f"serial {state.serial} does not follow {head.serial}")

    def _conflict(self, problem: str) -> InfctlError:
        where = self._place.location
        return InfctlError(
            error(STATE_CONFLICT, f"{where} cannot be replaced by this state", problem, hint=STATE_CONFLICT.remedy)
        )

    def _sweep(self, head: Head, dropped: set[str]) -> None:
        """Remove parts that no head will speak of again: what this commit replaced, and, once in a lease, what runs
        before it left when they were killed. A part of a later lease is never touched: this one may be late.
        """
        if self._place.holds_parts and not self._swept:
            self._swept = True
            dropped |= {name for name in self._place.names() if 0 < fence_in(name) < self.fence} - head.named
        for name in sorted(dropped):
            self._place.drop(name)

    def _verify(self, head: Head) -> None:
        """Raise InfctlError (lease-lost) unless the lock still is this lease's."""
        found = head.lock.encode() or None
        if not self._heart.owns(found):
            raise self._heart.lost(found)

    def release(self) -> None:
        faults.point("lock: before release")
        self._heart.stop()
        faults.point("lock: released")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except InfctlError:  # the lock frees itself; what went wrong before it must be told
            if failure is None:
                raise
