"""Owns the arithmetic of room: whether a way of replacing replicas fits into the memory that is free. Pure.

All figures are bytes on one target. Knows nothing of steps or resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infctl.plan.model import Rollout


@dataclass(frozen=True, slots=True)
class Load:
    """What one model's change moves on one target: what each new replica needs, what each replaced one holds (in
    order), how many more come, and what those hold that only leave.
    """

    need: int
    replaced: tuple[int, ...] = ()
    coming: int = 0
    leaving: int = 0

    @property
    def total(self) -> int:
        """What all new replicas need together."""
        return self.need * (len(self.replaced) + self.coming)


@dataclass(frozen=True, slots=True)
class Way:
    """How replicas follow each other: `batch` of them at a time, where they do not all go at once."""

    rollout: Rollout
    batch: int = 0


def waves(way: Way, count: int) -> Iterator[slice]:
    """Yield which of `count` replaced replicas go together; when rolling, one goes first to show that it works."""
    start = 0
    while start < count:
        size = (
            count if way.rollout is Rollout.SURGE else 1 if way.rollout is Rollout.ROLLING and not start else way.batch
        )
        yield slice(start, start + size)
        start += size


def peak(load: Load, way: Way) -> int:
    """Return the most that `way` takes beyond what was held at its start, at any time."""
    taken = highest = 0
    swaps = way.rollout is Rollout.SWAP
    if swaps:
        taken -= load.leaving
    for wave in waves(way, len(load.replaced)):
        old = load.replaced[wave]
        if swaps:
            taken -= sum(old)
        taken += load.need * len(old)
        highest = max(highest, taken)
        if way.rollout is Rollout.ROLLING:
            taken -= sum(old)
    return max(highest, taken + load.need * load.coming)


def least(load: Load) -> int:
    """Return the smallest peak that any way has."""
    return min(peak(load, Way(Rollout.SWAP, batch)) for batch in {1, max(1, len(load.replaced))})


def ways(load: Load, free: int, *, beside: bool) -> Iterator[Way]:
    """Yield the ways worth trying, best first. `beside`: old and new may stand side by side."""
    count = len(load.replaced)
    if not count:
        yield Way(Rollout.FIRST)
    elif beside:
        yield Way(Rollout.SURGE, count)
        most = min(count - 1, free // load.need) if load.need else count - 1
        yield from (Way(Rollout.ROLLING, batch) for batch in range(most, 0, -1))
    yield Way(Rollout.SWAP, 1)
    yield Way(Rollout.SWAP, max(1, count))


def best(load: Load, free: int, *, beside: bool) -> Way | None:
    """Return the best way that fits into `free`, None when none does."""
    return next((way for way in ways(load, free, beside=beside) if peak(load, way) <= free), None)
