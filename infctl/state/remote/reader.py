"""Owns reading a shared state: the state that its head speaks of, and what is left of a damaged one.

Takes no lock: parts are never changed, and one that went while it was read went because there is a newer head.
"""

from __future__ import annotations

from infctl.diagnostics import InfctlError, error
from infctl.state import journal, snapshot
from infctl.state.model import State
from infctl.state.problems import STATE_LOST, STATE_TOO_NEW, damaged
from infctl.state.remote.head import Current, Head, Part, checksum
from infctl.state.remote.names import serial_in, snapshots
from infctl.state.remote.place import Place
from infctl.state.remote.register import Register
from infctl.state.remote.seal import Seal
from infctl.state.store import Loaded, Salvaged


class _GoneError(Exception):
    """A part that the head speaks of is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Reader:
    """Reads what `register` speaks of; a snapshot that was read once is not fetched again."""

    def __init__(self, register: Register, seal: Seal) -> None:
        self._register, self._seal = register, seal
        self._place: Place = register.place
        self._base: tuple[Part, State] | None = None

    def load(self) -> Loaded:
        """Return snapshot and journal of one instant. Raises InfctlError (state-lost, state-damaged ...)."""
        head = self._register.fetch().head
        while True:
            try:
                return self._read(head)
            except _GoneError as gone:
                newer = self._register.fetch().head
                if newer.seq == head.seq:
                    problem = f"{gone.name} is not there, although the head speaks of it"
                    raise damaged(self._place.location, problem) from None
                head = newer

    def _read(self, head: Head) -> Loaded:
        if head.broken:
            raise head.broken
        if head.snapshot is None:
            self.refuse_vanished(head)
            return Loaded(None)
        state = self._state(head.snapshot)
        text = self.journal_text(head)
        found = journal.decode(text, f"{self._place.location} (journal)")
        if text and (found.lineage, found.serial) != (state.lineage, state.serial):
            raise damaged(self._place.location, f"its journal follows serial {found.serial} of {found.lineage}")
        return Loaded(state, found.records)

    def _state(self, current: Current) -> State:
        if self._base is None or self._base[0] != current.part:
            name = snapshot_about(current.serial)
            text = self._open(current.part, name)
            self._base = (current.part, snapshot.decode(text, f"{self._place.location} ({name})").state)
        return self._base[1]

    def journal_text(self, head: Head) -> bytes:
        """Return the journal that follows the snapshot of `head`, b"" where nothing was done since."""
        about = journal_about(head.serial)
        parts = [self._open(part, about) for part in head.segments]
        return b"".join((*parts, self.tail(head)))

    def tail(self, head: Head) -> bytes:
        """Return that part of the journal which stands in the head itself."""
        return self._seal.open(head.tail.encode(), journal_about(head.serial), self._place.location)

    def _open(self, part: Part, about: str) -> bytes:
        where = f"{self._place.location} ({part.name})" if part.name else self._place.location
        data = self._place.get(part.name) if part.name else part.text.encode()
        if data is None:
            raise _GoneError(part.name)
        if checksum(data) != part.sum:
            raise damaged(where, f"its checksum does not fit: {len(data)} bytes of something else, or cut short")
        return self._seal.open(data, about, where)

    def refuse_vanished(self, head: Head) -> None:
        """Raise InfctlError (state-lost) where `head` speaks of no state beside snapshots of one. A first commit that
        was cut short leaves a snapshot too, but under a head that was there before it.
        """
        if head.lost and self._register.fetch().head.lost:  # else a first run came in between
            left = snapshots(self._place.names())
            where, beside = self._place.location, f"{left[0] if left else 'a snapshot'} is still there"
            raise InfctlError(error(STATE_LOST, f"{where} speaks of no state", beside, hint=STATE_LOST.remedy))

    # ---------------------------------------------------------------- what is left

    def salvage(self) -> Salvaged:
        """Return the newest readable snapshot with the readable records that follow it."""
        head = self._register.fetch().head
        notes = [each.detail for each in head.broken.diagnostics] if head.broken else []
        state = self._newest(head, notes)
        written = journal.Journal()
        if head.snapshot:
            written = self._records(head, notes)
        names = self._place.names()
        serial = max((head.serial, *map(serial_in, names)), default=0)
        if state and (written.lineage, written.serial) == (state.lineage, state.serial):
            state = Loaded(state, written.records).current
        return Salvaged(state, max(serial, 0), tuple(notes))

    def _newest(self, head: Head, notes: list[str]) -> State | None:
        if head.snapshot:
            try:
                return self._state(head.snapshot)
            except _GoneError as gone:
                notes.append(f"{gone.name} is gone")
            except InfctlError as failure:
                _note(failure, notes)
        for name in snapshots(self._place.names()):
            try:
                where = f"{self._place.location} ({name})"
                data = self._seal.open(self._place.get(name) or b"", snapshot_about(serial_in(name)), where)
                state = snapshot.decode(data, where).state
            except InfctlError as failure:
                _note(failure, notes)
            else:
                notes.append(f"{name} is whole: serial {state.serial}")
                return state
        return None

    def _records(self, head: Head, notes: list[str]) -> journal.Journal:
        try:
            written, problem = journal.read(self.journal_text(head), "the journal")
        except _GoneError as gone:
            notes.append(f"{gone.name} is gone, and with it what was done since serial {head.serial}")
            return journal.Journal()
        except InfctlError as failure:
            _note(failure, notes)
            return journal.Journal()
        if problem:
            detail = problem.diagnostics[0].detail
            notes.append(f"the journal is damaged after {len(written.records)} records: {detail}")
        return written


def _note(failure: InfctlError, notes: list[str]) -> None:
    if any(problem.code == STATE_TOO_NEW for problem in failure.diagnostics):
        raise failure
    notes.extend(f"{problem.summary}: {problem.detail}" for problem in failure.diagnostics)


def snapshot_about(serial: int) -> str:
    return f"snapshot {serial}"


def journal_about(serial: int) -> str:
    return f"journal after {serial}"
