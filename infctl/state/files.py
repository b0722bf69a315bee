"""Owns reading the local store's files: the state of one instant, and what is left of a damaged one.

Reading takes no lock: a snapshot is only ever replaced whole, and one that was replaced meanwhile is read again.
Knows nothing of leases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from infctl.diagnostics import InfctlError, error
from infctl.state import disk, journal, kept, snapshot
from infctl.state.model import FORMAT_VERSION, State
from infctl.state.problems import STATE_LOST, STATE_TOO_NEW, damaged
from infctl.state.store import Loaded, Salvaged

Signature = tuple[int, int, int]
_FENCE = re.compile(rb"\d{20}\n")  # all of it, or it is not one: a number cut short would be a smaller one
_FENCES = re.compile(rb'"fence": (\d{1,18})\b')
_FORMAT = re.compile(rb'"format_version": (\d{1,9})\b')
_SERIAL = re.compile(rb'"serial": (\d{1,18})\b')


class StateFiles:
    """The files of one workspace's folder. Nothing is made by looking."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state.json"
        self.kept = folder / "state.kept.json"
        self.backup = folder / "state.json.backup"
        self.history = folder / "history"
        self.journal = folder / "journal.jsonl"
        self.lock = folder / "lock.json"
        self.fence = folder / "fence"
        self.guard = folder / "guard"
        self.key = folder / "digest.key"
        self._base: tuple[Signature | None, snapshot.Snapshot | None] = (None, None)

    def load(self) -> Loaded:
        """Return snapshot and journal of one instant. Raises InfctlError (state-lost, state-damaged ...)."""
        while True:
            found = self.stored()
            text = disk.read(self.journal) or b""
            if self._signature() == self._base[0]:
                return self._together(found, journal.decode(text, str(self.journal)))

    def stored(self) -> snapshot.Snapshot | None:
        """Return the stored snapshot, read again only when its file was replaced; None where nothing ever ran."""
        signature = self._signature()
        if signature is None or signature != self._base[0]:
            text = disk.read(self.state)
            self._base = (signature, None if text is None else self._read(text))
        return self._base[1]

    def _read(self, text: bytes) -> snapshot.Snapshot:
        found = None
        if len(text) >= kept.LEAST:
            with suppress(InfctlError):  # one that cannot be read is none
                found = kept.decode(disk.read(self.kept) or b"", text)
        return found or snapshot.decode(text, str(self.state))

    def keep(self, text: bytes, state: State, fence: int) -> None:
        """Keep `state`, of which `text` is the snapshot; where that cannot be done the next run is a little slower."""
        if len(text) >= kept.LEAST:
            with suppress(InfctlError):
                disk.put(self.kept, kept.encode(state, fence, text))

    def _signature(self) -> Signature | None:
        try:
            found = self.state.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _together(self, found: snapshot.Snapshot | None, written: journal.Journal) -> Loaded:
        if found is None:
            self.refuse_vanished()
            return Loaded(None)
        state = found.state
        if written.serial < state.serial:  # the run that committed this snapshot died before it could drop the journal
            return Loaded(state)
        if (written.lineage, written.serial) != (state.lineage, state.serial):
            raise damaged(
                str(self.journal),
                f"it follows serial {written.serial} of lineage {written.lineage}; "
                f"state.json is serial {state.serial} of lineage {state.lineage}",
                hint="if you put an older state.json back, infctl state recover brings it up to date with what runs",
            )
        return Loaded(state, written.records)

    def has_traces(self) -> bool:
        """Return whether a state was ever kept here, readable or not."""
        return any(True for _ in self._traces())

    def refuse_vanished(self) -> None:
        """Raise InfctlError (state-lost) where no snapshot stands beside traces of one: that is not a first run."""
        for trace in self._traces():
            if not self.state.exists():  # else a first commit came in between
                beside = f"{trace.name} is still there"
                raise InfctlError(error(STATE_LOST, f"{self.state} is gone", beside, hint=STATE_LOST.remedy))

    def _traces(self) -> Iterator[Path]:
        yield from (path for path in (self.state, self.backup) if path.exists())
        yield from self.past()
        if disk.read(self.journal):
            yield self.journal

    def serial_and_format(self) -> tuple[int, int]:
        """Return what the snapshot on the disk calls itself, damaged or not; (0, the current format) if it does not."""
        text = disk.read(self.state) or b""
        serial, version = _SERIAL.search(text), _FORMAT.search(text)
        return int(serial[1]) if serial else 0, int(version[1]) if version else FORMAT_VERSION

    def past(self) -> Iterator[Path]:
        """Yield the snapshots before the current one, newest first."""
        yield from sorted(self.history.glob("*.json"), reverse=True)

    def salvage(self) -> Salvaged:
        """Return the newest readable snapshot with the readable records that follow it."""
        notes: list[str] = []
        best = None
        for path in (self.state, self.backup, *self.past()):
            best = self._try(path, notes)
            if best:
                break
        written, problem = journal.read(disk.read(self.journal) or b"", str(self.journal))
        if problem:
            notes.append(
                f"journal.jsonl is damaged after {len(written.records)} records: {problem.diagnostics[0].detail}"
            )
        serial = max([written.serial, *self._serials()], default=0)
        if best is None:
            return Salvaged(None, max(serial, 0), tuple(notes))
        if (written.lineage, written.serial) == (best.lineage, best.serial):
            best = Loaded(best, written.records).current
        return Salvaged(best, max(serial, 0), tuple(notes))

    def _try(self, path: Path, notes: list[str]) -> State | None:
        try:
            text = disk.read(path)
            if text is None:
                return None
            state = snapshot.decode(text, str(path)).state
        except InfctlError as failure:
            if any(problem.code == STATE_TOO_NEW for problem in failure.diagnostics):
                raise
            notes.append(f"{path.name} is damaged: {failure.diagnostics[0].detail}")
            return None
        if notes:
            notes.append(f"{path.name} is whole: serial {state.serial}")
        return state

    def _serials(self) -> Iterator[int]:
        for path in (self.state, self.backup, *self.past()):
            found = _SERIAL.search(disk.read(path) or b"")
            if found:
                yield int(found[1])

    def write_fence(self, fence: int) -> None:
        """Remember `fence` for good, whatever becomes of the lock. Raises InfctlError (state-unwritable)."""
        text = b"%020d\n" % fence
        if _FENCE.fullmatch(disk.read(self.fence) or b""):
            disk.overwrite(self.fence, text, "fence")
        else:
            disk.replace(self.fence, text, "fence")

    def last_fence(self) -> int:
        """Return the last fence given; where its file is lost, the highest that any other file names, whole or not."""
        text = disk.read(self.fence) or b""
        if _FENCE.fullmatch(text):
            return int(text)
        places = (self.state, self.backup, *self.past(), self.journal, self.lock)
        return max((int(n) for path in places for n in _FENCES.findall(disk.read(path) or b"")), default=0)
