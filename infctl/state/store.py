"""Owns what any place that keeps state must be able to do: read, lock with a lease, write under that lease.

Knows no particular store. `infctl.state.testkit` holds the checks that every store passes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from infctl.frozen import dataclass
from infctl.state.journal import Record, replay
from infctl.state.model import State

LEASE_SECONDS = 60.0  # DESIGN, invariant 3
DEFAULT_WORKSPACE = "default"
NO_WORKSPACES = frozenset({"cache", "workspace"})  # names beside the workspaces' that are something else


@dataclass(frozen=True, slots=True)
class LockInfo:
    """Who holds the lock. `since` is UTC, ISO 8601, told by the holder's own clock: shown, never compared."""

    id: str
    fence: int
    who: str
    operation: str
    since: str
    host: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store holds: the snapshot, and the records written since. `state` is None where nothing ever ran."""

    state: State | None
    journal: tuple[Record, ...] = ()

    @property
    def current(self) -> State | None:
        """The snapshot with its journal replayed."""
        if self.state is None or not self.journal:
            return self.state
        return replay(self.state, self.journal)


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What can still be read of a damaged state: the newest readable snapshot with the records that fit it.

    `serial` is the highest serial that any file names; the next commit must be above it. `notes` are sentences.
    """

    state: State | None
    serial: int
    notes: tuple[str, ...] = ()


Waiting = Callable[[LockInfo, float], None]  # who holds the lock, and the seconds waited so far


class Lease(Protocol):
    """The right to write, for as long as it is confirmed. A context manager that releases; releasing twice is fine.

    `fence` rises with every lease ever given and never repeats: objects made under it carry it.
    """

    @property
    def id(self) -> str: ...
    @property
    def fence(self) -> int: ...

    def check(self) -> None:
        """Raise InfctlError (lease-lost) once half a lease has passed without a confirmed heartbeat.

        Called before every provider call. Costs no I/O.
        """
        ...

    def append(self, records: Sequence[Record]) -> None:
        """Write `records` to the journal: durable on return, one fsync however many they are.

        A first state must have been committed before. Raises InfctlError (lease-lost: nothing was written;
        state-unwritable: none of them counts).
        """
        ...

    def commit(self, state: State, *, force: bool = False) -> None:
        """Replace the snapshot by `state` and drop the journal, which `state` has absorbed.

        `state.serial` must be one above the stored one (any where nothing is stored) and the lineage the same;
        with `force` any lineage will do and any serial above all that the store has seen, and what cannot be read
        is set aside. Raises InfctlError (lease-lost, state-conflict, state-unwritable); then nothing has changed.
        """
        ...

    def release(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Store(Protocol):
    """Keeps the state of one stack in one workspace. Reading takes no lock."""

    @property
    def workspace(self) -> str: ...
    @property
    def location(self) -> str:
        """Where the snapshot is, as a person would name it: a path or a url."""
        ...

    def load(self) -> Loaded:
        """Return snapshot and journal of one instant. Raises InfctlError (state-damaged, state-too-new ...)."""
        ...

    def salvage(self) -> Salvaged:
        """Return what can be read although `load` fails, for `state recover`. Raises InfctlError (state-too-new)."""
        ...

    def lock(self, who: str, operation: str, *, timeout: float = 0.0, waiting: Waiting | None = None) -> Lease:
        """Return a lease, waiting up to `timeout` seconds; `waiting` is called at once and then about every second.

        `waiting` may raise to give up. Takes over from a holder whose heartbeat stood still for a whole lease, as
        this process saw it. Raises InfctlError (state-locked, state-unwritable).
        """
        ...

    def lock_info(self) -> LockInfo | None: ...

    def force_unlock(self, ident: str) -> LockInfo:
        """Take the lock `ident` from its holder, whose next write fails. Raises InfctlError (no-such-lock)."""
        ...

    def digest_key(self, initial: bytes = b"") -> bytes:
        """Return the lineage's 32-byte key for secret digests, made at random (or from `initial`) if there is none."""
        ...

    def workspaces(self) -> tuple[str, ...]:
        """Return the names of all workspaces of this store, sorted; "default" is always among them."""
        ...

    def create(self) -> None:
        """Make this store's workspace known to `workspaces`. No harm where it is."""
        ...

    def delete(self) -> None:
        """Remove this store's workspace and all that is kept in it. Raises InfctlError (state-locked)."""
        ...


def new_state(stack: str, workspace: str = DEFAULT_WORKSPACE) -> State:
    """Return an empty state of a new lineage: to be committed before the first record is appended."""
    return State(lineage=str(uuid.uuid4()), stack=stack, workspace=workspace)
