"""Owns in which ways a replica fits on one place: which sets of its devices it may have, and what each leaves whole.

Knows places only as rows of bytes, so that what was found for one holds for all that are alike. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from math import ceil, comb
from operator import attrgetter
from typing import NamedTuple

from infctl.placement.fit import Asked, is_product
from infctl.placement.objective import CROSSED, MIXED, hole
from infctl.provider.values import Device, Place

Row = tuple[int, ...]  # bytes of a place: of its memory, then of each of its devices
MOST_PARTS = 16  # of a device: of smaller ones what is left over does not matter
MOST_SETS = 100  # sets of devices that are all looked at for the least scattered ones; of more, neighbours are


class Slot(NamedTuple):
    """A device as placement sees it. `whole` is what having it whole takes, -1 where that cannot be had."""

    number: int
    product: str
    total: int
    whole: int
    is_part: bool
    island: str
    grains: int


class Shape(NamedTuple):
    """What does not change of a place while replicas come. `grains` are bytes, of devices and of memory."""

    slots: tuple[Slot, ...]
    grain: int
    memory_grain: int


class Site(NamedTuple):
    """A place of a target as a model finds it: `have` is what that model may take there."""

    target: str
    place: Place
    shape: Shape
    have: Row


class Left(NamedTuple):
    """What is left of a place for a model: `have` is what it may take, `own` what of that nobody else may (empty for
    nothing), `final` what is there once all that goes is gone.
    """

    shape: Shape
    have: Row
    own: Row
    final: Row


class Fit(NamedTuple):
    """A set of devices, by position, and what is taken of each. `cost` is in the objective's units."""

    positions: tuple[int, ...]
    takes: Row
    cost: int
    scattered: tuple[int, ...]


def shape_of(place: Place, whole: Sequence[int], grain: int, memory_grain: int) -> Shape:
    """Return the shape of a place; `whole` says for each device what having it whole takes."""
    slots = (_slot(device, takes, grain) for device, takes in zip(place.devices, whole, strict=True))
    return Shape(tuple(slots), grain, memory_grain)


def _slot(device: Device, whole: int, grain: int) -> Slot:
    product = device.product.partition(" MIG ")[0]
    grains = max(1, device.memory_total // grain)
    return Slot(device.index, product, device.memory_total, whole, bool(device.parent), device.island, grains)


def fits(left: Left, asked: Asked, was: frozenset[int], claimed: frozenset[int]) -> tuple[Fit, ...]:
    """Return the ways in which a replica fits, best first, no two alike. `was` are the devices that it had, `claimed`
    those that others had, who would rather have them again.
    """
    if asked.memory and left.have[0] < asked.memory:
        return ()
    chosen = _chosen(left, asked, was, claimed)
    found = [fit_at(left.shape, left.final, asked, tuple(sorted(positions))) for positions in chosen]
    others = claimed - was
    told = [fit._replace(scattered=(len(others.intersection(fit.positions)), *fit.scattered)) for fit in found]
    return tuple(sorted(told, key=attrgetter("cost", "scattered")))


def fit_at(shape: Shape, final: Row, asked: Asked, positions: tuple[int, ...]) -> Fit:
    """Return what a replica takes of the devices at `positions`, and what that costs now."""
    takes = tuple(_takes(shape.slots[position], asked) for position in positions)
    products = len({shape.slots[position].product for position in positions})
    islands = len({shape.slots[position].island for position in positions})
    cost = _lost(shape, final, asked.memory, positions, takes)
    cost += MIXED * max(0, products - 1) + CROSSED * max(0, islands - 1)
    return Fit(positions, takes, cost, _scattered(shape, positions))


def usable(shape: Shape, have: Row, asked: Asked) -> list[list[int]]:
    """Return the devices that have what is asked of each, by island; all together where no island is large enough."""
    islands: dict[str, list[int]] = {}
    is_joined = 1 < asked.devices <= _most_joined(shape, asked)
    for position, slot in enumerate(shape.slots):
        if is_of(asked, slot) and 0 < _takes(slot, asked) <= have[position + 1]:
            islands.setdefault(slot.island if is_joined else "", []).append(position)
    return list(islands.values())


@cache
def _most_joined(shape: Shape, asked: Asked) -> int:
    """Return how many of the devices that will do fast links join, whoever has them now."""
    every = _islands(shape).values()
    return max((sum(is_of(asked, shape.slots[position]) for position in island) for island in every), default=0)


def most(left: Left, asked: Asked) -> int:
    """Return how many replicas that ask this fit on a place at the very most, were it theirs alone."""
    shape, have = left.shape, left.have
    count = have[0] // asked.memory if asked.memory else 1 << 30
    if not asked.devices:
        return max(0, count)
    if asked.is_whole:
        room = sum(len(island) // asked.devices for island in usable(shape, have, asked))
    else:
        room = sum(
            sum(have[position + 1] // _takes(shape.slots[position], asked) for position in island) // asked.devices
            for island in usable(shape, have, asked)
            if len(island) >= asked.devices
        )
    return max(0, min(count, room))


class Parts(NamedTuple):
    """All parts of a device that anybody asks for: bytes, and fractions."""

    shares: tuple[int, ...]
    fractions: tuple[float, ...]


def least_taken(left: Left, asked: Asked, parts: Parts) -> int:
    """Return the bytes of devices that a replica takes there at the least, as `filled` counts them."""
    usable_ones = (position for island in usable(left.shape, left.have, asked) for position in island)
    if asked.is_whole:
        sizes = [filled(left.shape.slots[p].total, left.shape.slots[p].whole, parts) for p in usable_ones]
    else:
        sizes = [_takes(left.shape.slots[p], asked) for p in usable_ones]
    return sum(sorted(sizes)[: asked.devices]) if len(sizes) >= asked.devices else 0


@cache
def filled(total: int, left: int, parts: Parts) -> int:
    """Return the most of what is `left` of a device of `total` bytes that can be taken, by whoever asks for parts.

    Three times 30 do not go into 80: whoever takes it whole takes no more than that from the others either.
    """
    sizes = sorted({*parts.shares, *(ceil(fraction * total) for fraction in parts.fractions)})
    if left <= 0:
        return 0
    if not sizes or left > sizes[0] * MOST_PARTS:
        return left
    sums, new = {0}, {0}
    while new:
        new = {have + size for have in new for size in sizes if have + size <= left} - sums
        sums |= new
    return max(sums)


def least_hole(left: Left, asked: Asked) -> int:
    """Return what a replica takes of the holes there at the least, whatever else comes, in the objective's units.

    Of an island with untouched devices of S grains together, those who take t of them cost S² - (S - t)² = t (2 S - t)
    together, which is at least t S; so t S may be charged to each who takes t, whoever the others are.
    """
    if not asked.is_whole:
        return 0
    shape, found = left.shape, []
    for island in usable(shape, left.have, asked):
        if len(island) >= asked.devices:
            grains = sorted(shape.slots[position].grains for position in island)[: asked.devices]
            names = {shape.slots[position].island for position in island}
            found.append(sum(grains) * min(_untouched(left, name, asked) for name in names))
    return min(found, default=0)


def is_of(asked: Asked, slot: Slot) -> bool:
    """Return whether a device will do at all. A slice is had only for its memory, and never together with others:
    engines that share a model over devices do not reach from slice to slice (NVIDIA MIG user guide, "CUDA device
    enumeration": one instance a process).
    """
    if slot.is_part and (not asked.share or asked.devices > 1):
        return False
    return is_product(asked.product, slot.product) if asked.product else True


def _takes(slot: Slot, asked: Asked) -> int:
    """Return what is taken of a device; -1 where it cannot be had."""
    return slot.whole if asked.is_whole else asked.share or ceil(asked.fraction * slot.total)


def _chosen(left: Left, asked: Asked, was: frozenset[int], claimed: frozenset[int]) -> Iterator[tuple[int, ...]]:
    """Yield sets of devices, of those that are alike the least scattered one. None reaches from island to island where
    one of these is large enough.
    """
    if not asked.devices:
        yield ()
        return
    shape, have, own, final = left
    for island in usable(shape, have, asked):
        if len(island) < asked.devices:
            continue
        kinds: dict[object, int] = {}
        alike: dict[int, int] = {}
        for position in island:
            slot = shape.slots[position]
            mine = own[position + 1] if own else 0
            facts = (slot.product, slot.total, slot.whole, slot.island, have[position + 1], mine, final[position + 1])
            claim = position if position in claimed else -1
            alike[position] = kinds.setdefault((*facts, position in was, claim), len(kinds))
        yield from _sets(shape, sorted(island, key=lambda p: (alike[p], shape.slots[p].number)), asked.devices, alike)


def _sets(shape: Shape, island: list[int], count: int, alike: dict[int, int]) -> Iterator[tuple[int, ...]]:
    found: dict[tuple[int, ...], tuple[int, ...]] = {}

    def look(sets: Iterator[tuple[int, ...]]) -> None:
        for chosen in sorted(sets, key=lambda each: _scattered(shape, each)):
            found.setdefault(tuple(sorted(alike[position] for position in chosen)), chosen)

    if comb(len(island), count) <= MOST_SETS:
        look(combinations(island, count))
    else:
        by_index = sorted(island, key=lambda position: (shape.slots[position].product, shape.slots[position].number))
        look(iter([tuple(by_index[start : start + count]) for start in range(len(island) - count + 1)]))
        look(iter([tuple(island[start : start + count]) for start in range(len(island) - count + 1)]))
        kinds = [[position for position in island if alike[position] == kind] for kind in dict.fromkeys(alike.values())]
        look(_mixes(kinds, count))
    yield from found.values()


def _mixes(kinds: list[list[int]], count: int) -> Iterator[tuple[int, ...]]:
    """Yield one set for every way to have `count` of several kinds."""
    if not count:
        yield ()
    elif kinds:
        first, *rest = kinds
        for some in range(min(count, len(first)), -1, -1):
            for others in _mixes(rest, count - some):
                yield (*first[:some], *others)


def _scattered(shape: Shape, chosen: tuple[int, ...]) -> tuple[int, ...]:
    """Return how far devices are apart: different products first, then their indices (neighbours share links)."""
    indices = [shape.slots[position].number for position in chosen]
    products = len({shape.slots[position].product for position in chosen})
    first = min(indices, default=0)
    return (products, max(indices, default=0) - first, first)


def _untouched(left: Left, island: str, asked: Asked) -> int:
    """Return the grains of the devices of an island that nobody has; of one device it may be any island's."""
    there: dict[str, int] = {}
    for position, slot in enumerate(left.shape.slots):
        if 0 <= slot.whole <= left.final[position + 1]:
            there[slot.island] = there.get(slot.island, 0) + slot.grains
    return there.get(island, 0) if asked.devices > 1 else min(filter(None, there.values()), default=0)


@cache
def _islands(shape: Shape) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for position, slot in enumerate(shape.slots):
        found[slot.island] = (*found.get(slot.island, ()), position)
    return found


def _worth(shape: Shape, final: Row, island: Sequence[int]) -> int:
    whole = parts = 0
    for position in island:
        slot, left = shape.slots[position], final[position + 1]
        if 0 <= slot.whole <= left:
            whole += slot.grains
        else:
            parts += (max(0, left) // shape.grain) ** 2
    return hole(whole, parts, 0)


def _lost(shape: Shape, final: Row, memory: int, positions: tuple[int, ...], takes: Row) -> int:
    """Return what the room is worth less once a replica has its devices and its memory."""
    grain = shape.memory_grain
    lost = hole(0, 0, max(0, final[0]) // grain) - hole(0, 0, max(0, final[0] - memory) // grain)
    if positions:
        after = list(final)
        for position, size in zip(positions, takes, strict=True):
            after[position + 1] -= size
        for island in _islands(shape).values():
            if not set(positions).isdisjoint(island):
                lost += _worth(shape, final, island) - _worth(shape, tuple(after), island)
    return lost
