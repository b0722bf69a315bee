"""Owns writing the local store's files under a lease: records appended, snapshots replaced.

Each write is verified against the lock under the guard, so that one with an old token writes nothing.
Knows nothing of how the lease was taken.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from infctl import __version__
from infctl.diagnostics import InfctlError, error
from infctl.frozen import dataclass
from infctl.provider import faults
from infctl.state import disk, journal, lease, snapshot
from infctl.state.files import StateFiles
from infctl.state.guard import Guard
from infctl.state.journal import Record
from infctl.state.model import FORMAT_VERSION, State
from infctl.state.problems import STATE_CONFLICT

HISTORY = 10  # snapshots kept beside the current one


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the next record goes: `end` bytes into the journal that follows `serial` of `lineage`, as line `number`."""

    lineage: str
    serial: int
    end: int = 0
    number: int = 1


class LocalLease:
    """A `Lease` of the local store."""

    def __init__(self, files: StateFiles, guard: Guard, heart: lease.Heart) -> None:
        self._files, self._guard, self._heart = files, guard, heart
        self._handle = -1
        self._tail: Tail | None = None  # None until the first append after a commit

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
        with self._guard.held(), disk.writing(self._files.journal):
            self._verify()
            tail = self._tail or self._find_tail()
            text = journal.encode(records, tail.number, self.fence)
            if not tail.end:
                text = journal.encode_header(tail.lineage, tail.serial) + text
            faults.point("journal: before write")
            try:
                os.ftruncate(self._handle, tail.end)
                disk.write_at(self._handle, text, tail.end, "journal")
            except OSError:
                os.ftruncate(self._handle, tail.end)  # whole lines of a write that failed must not count
                raise
            self._tail = replace(tail, end=tail.end + len(text), number=tail.number + len(records))

    def _find_tail(self) -> Tail:
        """Open the journal and return where its whole lines end. Raises OSError, InfctlError (state-damaged)."""
        stored = self._files.stored()
        if stored is None:
            raise ValueError("a journal follows a snapshot: commit a first state before appending")
        if self._handle < 0:
            is_new = not self._files.journal.exists()
            self._handle = os.open(self._files.journal, os.O_RDWR | os.O_CREAT, 0o600)
            if is_new:
                disk.sync_folder(self._files.folder)
        written = journal.decode(disk.read(self._files.journal) or b"", str(self._files.journal))
        if written.serial != stored.state.serial:  # absorbed by the snapshot, its run died before dropping it
            return Tail(stored.state.lineage, stored.state.serial)
        return Tail(written.lineage, written.serial, written.length, len(written.records) + 1)

    def commit(self, state: State, *, force: bool = False) -> None:
        state = replace(state, infctl_version=__version__)
        text = snapshot.encode(state, self.fence)
        staged = disk.stage(self._files.state, text, "snapshot")
        try:
            with self._guard.held(), disk.writing(self._files.state):
                self._verify()
                self._refuse_unfit(state, force=force)
                self._keep_fence(state)
                self._keep_past()
                disk.publish(staged, self._files.state, "snapshot")
                self._drop_journal()
        finally:
            staged.unlink(missing_ok=True)
        self._files.keep(text, state, self.fence)

    def _refuse_unfit(self, state: State, *, force: bool) -> None:
        """Raise InfctlError (state-conflict) unless `state` follows what is stored."""
        if force:
            highest = self._files.salvage().serial
            if state.serial <= highest and self._files.has_traces():
                raise conflict(self._files, f"serial {state.serial} is not above {highest}, which was used before")
            return
        stored = self._files.stored()
        if stored is None:
            self._files.refuse_vanished()
        elif stored.state.lineage != state.lineage:
            raise conflict(self._files, f"its lineage is {stored.state.lineage}, not {state.lineage}")
        elif stored.state.serial + 1 != state.serial:
            raise conflict(self._files, f"serial {state.serial} does not follow {stored.state.serial}")

    def _keep_fence(self, state: State) -> None:
        """No later lease may have a fence at or below one that objects carry, wherever this state came from."""
        highest = max((resource.fence for resource in state.resources.values()), default=0)
        if highest > self._files.last_fence():
            self._files.write_fence(highest)

    def _keep_past(self) -> None:
        files = self._files
        if not files.state.exists():
            return
        serial, written_as = files.serial_and_format()
        if written_as < FORMAT_VERSION:
            disk.keep_as(files.state, files.state.with_name(f"state.json.v{written_as}"))
        files.history.mkdir(mode=0o700, exist_ok=True)
        disk.keep_as(files.state, files.history / f"{serial:010}.json")
        disk.keep_as(files.state, files.backup)
        for old in tuple(files.past())[HISTORY:]:
            old.unlink(missing_ok=True)

    def _drop_journal(self) -> None:
        """Empty the journal, whose records the snapshot has. To die before is harmless: it follows an older serial."""
        self._tail = None
        if self._files.journal.exists():
            os.truncate(self._files.journal, 0)
        faults.point("snapshot: journal dropped")

    def _verify(self) -> None:
        """Raise InfctlError (lease-lost) unless the lock still carries this lease. Called under the guard."""
        found = disk.read(self._files.lock)
        if not self._heart.owns(found):
            raise self._heart.lost(found)

    def release(self) -> None:
        faults.point("lock: before release")
        try:
            self._heart.stop()
        finally:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
        faults.point("lock: released")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def conflict(files: StateFiles, problem: str) -> InfctlError:
    return InfctlError(
        error(STATE_CONFLICT, f"{files.state} cannot be replaced by this state", problem, hint=STATE_CONFLICT.remedy)
    )
