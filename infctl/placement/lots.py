"""Owns a place while it fills up, and what one replica costs there. Pure; knows no other place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from operator import add
from typing import NamedTuple

from infctl.placement.fit import Asked
from infctl.placement.objective import FETCH, MOVE, PAID, grain, rate
from infctl.placement.parties import Seat, Sites
from infctl.placement.room import Pool
from infctl.placement.shape import Fit, Left, Row, Shape, shape_of
from infctl.provider.values import Place, Spot

NOTHING: frozenset[int] = frozenset()


class Lot:
    """A place while it fills up: what is free for all, what each model gives back there, what is free in the end."""

    __slots__ = (
        *("base", "claimed", "kinds", "number", "paid", "place", "rate", "shape", "target"),
        *("drawn", "final", "free", "guests", "mark", "owns", "toll"),
    )

    def __init__(self, number: int, target: str, place: Place, shape: Shape, free: Row) -> None:
        self.number, self.target, self.place, self.shape = number, target, place, shape
        self.rate, self.paid = rate(place.price), PAID[place.purchase]
        self.free = self.final = free
        self.owns: dict[str, Row] = {}
        self.drawn: dict[str, Row] = {}  # what each model that gives back took since, of its own and of all
        self.guests: dict[str, int] = {}
        self.toll = (0, 0)  # see `bound.set_tolls`
        self.base = (target, shape.grain, place.zone, place.purchase, self.rate)
        self.kinds: Row = ()  # a number for each device, equal for those that are alike but for what is free of them
        self.claimed: frozenset[int] = frozenset()  # devices where somebody was who is to be seated
        self.mark = 0

    def tell(self, guests: tuple[tuple[str, int], ...]) -> object:
        """Return what two places have in common that are the same to everybody; the order of devices is not in it."""
        rows = [self.kinds, self.free[1:], self.final[1:], *(self.owns[model][1:] for model in self.owns)]
        owners = tuple((model, own[0]) for model, own in self.owns.items())
        return (
            self.base,
            self.place.most != 1 and bool(self.guests),
            self.toll,
            self.free[0],
            self.final[0],
            owners,
            guests,
            tuple(sorted(zip(*rows, strict=True))),
        )

    def have(self, model: str) -> Row:
        """Return what a model may take."""
        own = self.owns.get(model)
        return self.free if own is None else tuple(map(add, self.free, own))

    def left(self, model: str) -> Left:
        return Left(self.shape, self.have(model), self.owns.get(model, ()), self.final)


class Candidate(NamedTuple):
    """A way to seat a replica: what it costs there and then, the number of the lot, how it fits, what it asks there."""

    cost: int
    lot: int
    fit: Fit
    asked: Asked


class Bound(NamedTuple):
    """What is sure of replicas at a place: how many there can be at the most, what each takes of its holes at the least
    (in the objective's units), and how many grains of devices and of memory.
    """

    room: int
    hole: int
    devices: int
    memory: int


class Taken(NamedTuple):
    """What `put_back` needs: whose, where, and how much of each."""

    model: str
    lot: int
    sizes: Row


def moved(seat: Seat, here: bool, devices: Collection[int], was: frozenset[int]) -> int:
    """Return what it costs that a replica is not where it was: at this place (`here`), with these devices."""
    if seat.was is None or (here and was == frozenset(devices)):
        return 0
    return MOVE * max(1, len(seat.was.devices)) if seat.runs else FETCH


def paid(lot: Lot, fit: Fit, asked: Asked) -> int:
    """Return what the devices of a replica cost an hour, of a device that is shared its part."""
    if not lot.rate or asked.is_whole:
        return lot.rate * len(fit.positions)
    slots = lot.shape.slots
    return sum(lot.rate * size // slots[p].total for p, size in zip(fit.positions, fit.takes, strict=True))


def least_paid(lot: Lot, asked: Asked) -> int:
    """Return what a replica pays at a place at the least."""
    if not lot.rate or not asked.devices or asked.is_whole:
        return lot.rate * asked.devices
    total = max((slot.total for slot in lot.shape.slots), default=1)
    return asked.devices * (lot.rate * (asked.share or int(asked.fraction * total)) // total)


def lots_of(sites: Sites, free: Mapping[Pool, int]) -> Iterator[Lot]:
    every = [(target, place) for target, places in sites.places.items() for place in places]
    device_grain = grain(tuple(device.memory_total for _, place in every for device in place.devices))
    memory_grain = grain(tuple(place.memory_total for _, place in every))
    known: dict[tuple[object, ...], int] = {}
    for number, (target, place) in enumerate(every):
        pools = [Pool(target, place.name, device.uuid) for device in place.devices]
        whole = [sites.room.whole.get(pool, -1) for pool in pools]
        shape = shape_of(place, whole, device_grain, memory_grain)
        there = (free.get(Pool(target, place.name), 0), *(free.get(pool, 0) for pool in pools))
        lot = Lot(number, target, place, shape, there)
        lot.kinds = tuple(known.setdefault(slot[1:], len(known)) for slot in shape.slots)
        yield lot


def positions_of(spot: Spot, lot: Lot) -> frozenset[int]:
    """Return which devices of a lot a spot has."""
    if spot.place != lot.place.name:
        return NOTHING
    uuids = {share.device for share in spot.devices}
    return frozenset(position for position, device in enumerate(lot.place.devices) if device.uuid in uuids)
