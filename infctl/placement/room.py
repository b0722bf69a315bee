"""Owns the arithmetic of room: what replicas hold, and whether a way of replacing them fits into what is free. Pure.

All figures are bytes, but for counted devices. Room is counted in pools: the memory of a target, or, where the core
chooses the place, the memory of each place and of each device. Knows nothing of steps or resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from infctl.frozen import dataclass
from infctl.provider.values import Spot


class Pool(NamedTuple):
    """What room is counted in: the memory of a target, that of a place of it, or that of a device there. A device
    without a place is all devices of a target that chooses them itself, and is counted in devices, not in bytes.
    """

    target: str
    place: str = ""
    device: str = ""

    @property
    def is_counted(self) -> bool:
        return bool(self.device) and not self.place


Held = Mapping[Pool, int]  # what something takes, by pool


class Rollout(StrEnum):
    """How a model gets from one revision to the next."""

    NONE = "none"
    FIRST = "first"  # nothing ran before
    SURGE = "surge"  # all new ones beside the old, then one switch: no downtime, no mixed fleet
    ROLLING = "rolling"  # as many at a time as fit beside the old: no downtime, mixed meanwhile
    SWAP = "drain-and-swap"  # no room: each old one goes before its successor comes


@dataclass(frozen=True, slots=True)
class Room:
    """What is free of each pool (one that is not there has no limit), and what having a device whole takes of it,
    for those that can be had whole once nothing of ours is there. `limits` says of targets what allows no more.
    """

    free: Mapping[Pool, int]
    whole: Mapping[Pool, int]
    limits: Mapping[str, str] = field(default_factory=dict)

    def held_at(self, target: str, spot: Spot, memory: int) -> Held:
        """Return what a replica with `memory` bytes takes at `spot`."""
        held = {Pool(target, spot.place): memory}
        for device, share in spot.devices:
            pool = Pool(target, spot.place, device)
            held[pool] = held.get(pool, 0) + (share or self._whole(pool))
        return held

    def _whole(self, pool: Pool) -> int:
        """Return what a device had whole takes: where others are on it, more than there is."""
        return self.whole.get(pool, self.free.get(pool, 0) + 1)


def add(totals: dict[Pool, int], held: Held, sign: int = 1) -> None:
    for pool, size in held.items():
        totals[pool] = totals.get(pool, 0) + sign * size


def fits(held: Held, free: Held) -> bool:
    return all(size <= 0 or pool not in free or size <= free[pool] for pool, size in held.items())


@dataclass(frozen=True, slots=True)
class Load:
    """What one model's change moves: what each replaced replica holds and its successor takes (in order), what those
    take that come besides, and what those hold that only leave.
    """

    replaced: tuple[tuple[Held, Held], ...] = ()
    coming: tuple[Held, ...] = ()
    leaving: tuple[Held, ...] = ()

    @property
    def total(self) -> dict[Pool, int]:
        """What all new replicas take together."""
        totals: dict[Pool, int] = {}
        for held in (*(new for _, new in self.replaced), *self.coming):
            add(totals, held)
        return totals


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


def peak(load: Load, way: Way) -> dict[Pool, int]:
    """Return the most that `way` takes of each pool beyond what was held at its start, at any time."""
    taken: dict[Pool, int] = {}
    highest: dict[Pool, int] = {}
    gone = load.leaving if way.rollout is Rollout.SWAP else ()
    for wave in waves(way, len(load.replaced)):
        old = tuple(held for held, _ in load.replaced[wave])
        gone = (*gone, *old) if way.rollout is Rollout.SWAP else gone
        _follow(taken, highest, gone, tuple(held for _, held in load.replaced[wave]))
        gone = old if way.rollout is Rollout.ROLLING else ()
    _follow(taken, highest, gone, load.coming)
    return highest


def _follow(taken: dict[Pool, int], highest: dict[Pool, int], gone: Iterable[Held], come: Sequence[Held]) -> None:
    for held in gone:
        add(taken, held, -1)
    for held in come:
        add(taken, held)
    for pool in {pool for held in come for pool in held}:
        highest[pool] = max(highest.get(pool, 0), taken[pool])


def least(load: Load) -> dict[Pool, int]:
    """Return the smallest peak that any way has, in every pool: what leaves goes first, then all comes at once."""
    return peak(load, Way(Rollout.SWAP, max(1, len(load.replaced))))


def ways(load: Load, free: Held, *, beside: bool) -> Iterator[Way]:
    """Yield the ways worth trying, best first. `beside`: old and new may stand side by side."""
    count = len(load.replaced)
    if not count:
        yield Way(Rollout.FIRST)
    elif beside:
        yield Way(Rollout.SURGE, count)
        yield from (Way(Rollout.ROLLING, batch) for batch in range(_most_beside(load, free), 0, -1))
    yield Way(Rollout.SWAP, 1)
    yield Way(Rollout.SWAP, max(1, count))


def _most_beside(load: Load, free: Held) -> int:
    """Return how many replicas may at the most stand beside old ones: bounded where all come to one pool."""
    count = len(load.replaced)
    needs = {(pool, size) for _, new in load.replaced for pool, size in new.items()}
    if len(needs) != 1:
        return count - 1
    ((pool, size),) = needs
    return min(count - 1, max(0, free[pool]) // size) if size and pool in free else count - 1


def best(load: Load, free: Held, *, beside: bool) -> Way | None:
    """Return the best way that fits into `free`, None when none does."""
    return next((way for way in ways(load, free, beside=beside) if fits(peak(load, way), free)), None)
