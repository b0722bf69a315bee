"""Owns the leased lock of any store: how it is taken, kept by a heartbeat, lost, and taken over.

A store gives one `Cell` with compare-and-swap. Nothing compares wall clocks: a waiter takes over only after it saw
the cell unchanged for a whole lease on its own monotonic clock, so a clock that jumps changes nothing.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Protocol

from infctl.diagnostics import Code, InfctlError, error
from infctl.frozen import dataclass
from infctl.state.holder import Holder, is_surely_dead, this_process
from infctl.state.problems import LEASE_LOST, NO_SUCH_LOCK, STATE_LOCKED
from infctl.state.store import LEASE_SECONDS, LockInfo, Waiting

BAD_LEASE = Code(
    "bad-lease",
    "INFCTL_LEASE is not a number of seconds above zero.",
    "Unset it: the lease is then 60 s. It is there for tests.",
)
UNREADABLE = LockInfo("unreadable", 0, "somebody", "doing what is unknown", "")
_TELL_EVERY = 1.0  # seconds between two words to a waiting person
POLL = (0.005, 0.25)  # seconds between two looks at a held lock: at first, at last


@dataclass(frozen=True, slots=True)
class Held:
    """What the cell holds while the lock is held. `beat` counts heartbeats; `since` is information only."""

    id: str
    fence: int
    who: str
    operation: str
    since: str
    beat: int
    holder: Holder

    @property
    def info(self) -> LockInfo:
        return LockInfo(self.id, self.fence, self.who, self.operation, self.since, self.holder.host, self.holder.pid)


class Cell(Protocol):
    """One value that every run of this state shares."""

    def read(self) -> bytes | None: ...

    def take(self, old: bytes | None, mine: Held) -> Held | None:
        """Replace `old` by `mine` under a fence never used before; return it so, or None when `old` is not there."""
        ...

    def swap(self, old: bytes, new: bytes | None) -> bool:
        """Replace `old` by `new` (None: nothing) and return True; False when `old` is not there."""
        ...


def encode(held: Held) -> bytes:
    return (json.dumps(asdict(held), indent=2) + "\n").encode()


def decode(text: bytes) -> Held | None:
    """Return what the cell says; None where it cannot be read, after a power cut: then only its stillness counts."""
    try:
        plain = json.loads(text)
        return Held(**{**plain, "holder": Holder(**plain["holder"])})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def info_of(text: bytes) -> LockInfo:
    held = decode(text)
    return held.info if held else UNREADABLE


def acquire(
    cell: Cell,
    lease: float,
    who: str,
    operation: str,
    *,
    timeout: float,
    waiting: Waiting | None,
    location: str,
    poll: tuple[float, float] = POLL,
) -> Heart:
    """Take the lock and return its heart, beating. Times in seconds; `poll` is the pause between two looks, at first
    and at last. Raises InfctlError (state-locked).
    """
    began = seen_at = time.monotonic()
    told_at, pause = -_TELL_EVERY, poll[0]
    seen = cell.read()
    since = datetime.now(UTC).isoformat(timespec="seconds")
    mine = Held(os.urandom(8).hex(), 0, who, operation, since, 0, this_process())
    while True:
        now = time.monotonic()
        if seen is None or now - seen_at > lease or is_abandoned(seen):
            confirmed = _running_clock()
            taken = cell.take(seen, mine)
            if taken is not None:
                return Heart(cell, taken, lease, location, confirmed)
        elif now - began >= timeout:
            raise locked(info_of(seen), now - began, location)
        elif waiting is not None and now - began - told_at >= _TELL_EVERY:
            told_at = now - began
            waiting(info_of(seen), told_at)
        time.sleep(min(pause, lease / 10, max(0.0, timeout - (now - began))))
        pause = min(pause * 1.5, poll[1])
        found = cell.read()
        if found != seen:
            seen, seen_at = found, time.monotonic()


def seconds_from(env: Mapping[str, str]) -> float:
    """Return the lease that INFCTL_LEASE asks for, in seconds. Raises InfctlError (bad-lease)."""
    asked = env.get("INFCTL_LEASE", "")
    try:
        seconds = float(asked or LEASE_SECONDS)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InfctlError(
            error(BAD_LEASE, f"INFCTL_LEASE={asked} is not a number of seconds above zero", hint=BAD_LEASE.remedy)
        )
    return seconds


def holder_of(cell: Cell) -> LockInfo | None:
    text = cell.read()
    return None if text is None else info_of(text)


def open_by_force(cell: Cell, ident: str) -> LockInfo:
    """Take the lock `ident` from its holder and return whose it was. Raises InfctlError (no-such-lock)."""
    text = cell.read()
    info = None if text is None else info_of(text)
    while text is not None and info is not None and info.id == ident:  # its holder may beat in between
        if cell.swap(text, None):
            return info
        text = cell.read()
        info = None if text is None else info_of(text)
    held = f"the lock that is held is {info.id}, by {info.who} ({info.operation})" if info else "no lock is held"
    raise InfctlError(error(NO_SUCH_LOCK, f"There is no lock {ident}", held, hint=NO_SUCH_LOCK.remedy))


def is_abandoned(text: bytes) -> bool:
    """Return whether the holder is surely dead, so that nobody need wait for its lease."""
    held = decode(text)
    return held is not None and is_surely_dead(held.holder)


def locked(info: LockInfo, waited: float, location: str) -> InfctlError:
    """Return error[state-locked] about the holder; `waited` in seconds."""
    holder = f"since {info.since}, process {info.pid} on {info.host}, lock {info.id}"
    if info == UNREADABLE:
        holder = "its lock cannot be read, after a power cut perhaps"
    return InfctlError(
        error(
            STATE_LOCKED,
            f"The state is locked by {info.who} ({info.operation})",
            f"{location}: {holder}; waited {waited:.1f} s",
            hint=f"wait with -lock-timeout=5m: the lock of a run that died is taken over by itself; "
            f"to open it by force: infctl force-unlock {info.id}",
        )
    )


def _running_clock() -> float:
    """Return seconds that also pass while the machine sleeps, where the system can tell: a holder must doubt itself.

    A waiter must not count sleep, in which the holder could not beat either; it uses time.monotonic.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Heart:
    """Beats every third of a lease in a thread of its own, and knows when a beat was last confirmed."""

    def __init__(self, cell: Cell, held: Held, lease: float, location: str, confirmed: float) -> None:
        self.held = held
        self._cell, self._lease, self._location, self._confirmed = cell, lease, location, confirmed
        self._lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="state-heartbeat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise InfctlError (lease-lost) once half a lease has passed without a confirmed beat."""
        silent = _running_clock() - self._confirmed
        if self._lost or silent > self._lease / 2:
            raise self.lost(self._look(), silent)

    def _look(self) -> bytes | None:
        """Return what the cell holds; where nobody can tell, what this lease wrote last."""
        try:
            return self._cell.read()
        except InfctlError:
            return encode(self.held)

    def owns(self, text: bytes | None) -> bool:
        """Return whether the cell's `text` is this lease's, at whatever beat."""
        held = decode(text) if text else None
        return held is not None and (held.id, held.fence) == (self.held.id, self.held.fence)

    def lost(self, text: bytes | None, silent: float = 0.0) -> InfctlError:
        """Return error[lease-lost] where the cell holds `text` and no beat was confirmed for `silent` seconds."""
        if text is None:
            now = "nobody holds it now"
        elif self.owns(text):
            now = f"its heartbeat was not confirmed for {silent:.1f} s"
        else:
            info = info_of(text)
            now = f"now held by {info.who} ({info.operation}) since {info.since}"
        return InfctlError(
            error(
                LEASE_LOST,
                "This run lost its lease of the state and wrote nothing more",
                f"{self._location}: {now}",
                hint="run the same command again: it picks up where this one stopped",
            )
        )

    def stop(self) -> None:
        """Stop beating and give the lock back, unless it is another's by now. Safe to call twice."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        self._lost = True
        self._cell.swap(encode(self.held), None)

    def _beat(self) -> None:
        pause = self._lease / 3
        while not self._stop.wait(pause):
            began = _running_clock()
            held = replace(self.held, beat=self.held.beat + 1)
            try:
                if not self._cell.swap(encode(self.held), encode(held)):
                    self._lost = True
                    return
            except InfctlError:  # not confirmed: `check` says so in time, and the next beat may come through
                pause = self._lease / 10
                continue
            self.held, self._confirmed, pause = held, began, self._lease / 3
