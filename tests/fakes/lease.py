"""Owns a lease that keeps everything in memory and counts: what was durable, when, in how many writes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from infctl.diagnostics import InfctlError, error
from infctl.state.journal import Record, replay
from infctl.state.model import State
from infctl.state.problems import LEASE_LOST, STATE_UNWRITABLE


class MemoryLease:
    """`writes` are the appends so far; `fails_at` is the number of the append from which on the disk is full."""

    id = "lease-1"

    def __init__(self, state: State, *, fence: int = 7, fails_at: int = 0) -> None:
        self.snapshot = state
        self.fence = fence
        self.fails_at = fails_at
        self.writes: list[tuple[Record, ...]] = []
        self.commits: list[State] = []
        self.lost = False

    @property
    def records(self) -> list[Record]:
        return [record for write in self.writes for record in write]

    @property
    def durable(self) -> State:
        """What the next run would find if this one died now."""
        return self.commits[-1] if self.commits else replay(self.snapshot, self.records)

    def check(self) -> None:
        if self.lost:
            raise InfctlError(error(LEASE_LOST, "the lease is lost"))

    def append(self, records: Sequence[Record]) -> None:
        self.check()
        if self.fails_at and len(self.writes) + 1 >= self.fails_at:
            raise InfctlError(error(STATE_UNWRITABLE, "no space left on device"))
        self.writes.append(tuple(records))

    def commit(self, state: State, *, force: bool = False) -> None:
        self.check()
        if self.fails_at and len(self.writes) + 1 >= self.fails_at:
            raise InfctlError(error(STATE_UNWRITABLE, "no space left on device"))
        assert force or state.serial == (self.commits or [self.snapshot])[-1].serial + 1
        self.commits.append(state)

    def release(self) -> None:
        self.lost = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
