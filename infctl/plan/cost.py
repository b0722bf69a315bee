"""Owns what replicas cost an hour, before and after a plan: by model, target and how the devices are paid for. Pure.

A replica costs what its devices cost where it is: a whole device its place's price, a share its part of the memory.
Only what has a price is counted, and what has none is told besides; a place that could not be read has the price of its
target's other places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from infctl.frozen import dataclass
from infctl.plan.compare import Verdict
from infctl.plan.model import Cost, Unpriced
from infctl.plan.promised import replicas_of, spot_of
from infctl.plan.request import TargetView
from infctl.provider.kinds import KindSpec
from infctl.provider.values import Values


@dataclass(frozen=True, slots=True)
class _Stock:
    """What the whole of each device is, and how many devices a place has."""

    sizes: Mapping[str, int]
    devices: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Tariff:
    """What a device costs at each place of a target, and what there is."""

    prices: Mapping[str, tuple[float, str]]
    stock: _Stock

    def at(self, place: str) -> tuple[float, str]:
        return self.prices.get(place) or next(iter(self.prices.values()))


def costs(verdicts: Iterable[Verdict], views: Mapping[str, TargetView]) -> tuple[Cost, ...]:
    """Return the dollars an hour of every model that has a price, in the order of the verdicts."""
    tariffs = {name: tariff for name, view in views.items() if (tariff := _tariff(view)) is not None}
    if not tariffs:
        return ()
    found: dict[tuple[str, str, str], list[float]] = {}
    for verdict in verdicts:
        if verdict.target not in tariffs or not verdict.is_replica:
            continue
        for side, values in _sides(verdict):
            _count(found, verdict, values, tariffs[verdict.target], side)
    return tuple(Cost(*key, *sides) for key, sides in found.items())


def unpriced(verdicts: Iterable[Verdict], views: Mapping[str, TargetView]) -> tuple[Unpriced, ...]:
    """Return the devices of replicas on each target of which nobody tells a price."""
    stocks = {name: _stock(view) for name, view in views.items() if _tariff(view) is None}
    found: dict[str, list[float]] = {}
    for verdict in verdicts if stocks else ():
        if verdict.target not in stocks or not verdict.is_replica:
            continue
        for side, values in _sides(verdict):
            devices, _ = _devices(verdict.kind, values, stocks[verdict.target])
            if devices:
                found.setdefault(verdict.target, [0.0, 0.0])[side] += devices
    return tuple(Unpriced(target, *sides) for target, sides in sorted(found.items()))


def _sides(verdict: Verdict) -> Iterator[tuple[int, Values]]:
    """Yield the values of a replica before the plan (0) and after it (1), as far as it is there."""
    have = verdict.have
    if have is not None and (verdict.live or verdict.unknown):
        yield 0, have.values
    if verdict.unknown and have is not None and not verdict.is_lost:
        yield 1, have.values
    elif verdict.want is not None:
        yield 1, verdict.values


def sources(views: Mapping[str, TargetView]) -> tuple[str, ...]:
    """Return where the prices of all targets are from, each once."""
    every = (place.priced for view in views.values() for place in view.inventory.places if place.price is not None)
    return tuple(dict.fromkeys(each for each in every if each))


def _tariff(view: TargetView) -> _Tariff | None:
    priced = {place.name: (place.price, place.purchase) for place in view.inventory.places if place.price is not None}
    if not priced:
        return None
    return _Tariff(priced, _stock(view))


def _stock(view: TargetView) -> _Stock:
    places = view.inventory.places
    sizes = {device.uuid: device.memory_total for place in places for device in place.devices}
    return _Stock(sizes, {place.name: len(place.devices) for place in places})


def _count(
    found: dict[tuple[str, str, str], list[float]], verdict: Verdict, values: Values, tariff: _Tariff, side: int
) -> None:
    devices, place = _devices(verdict.kind, values, tariff.stock)
    if devices:
        price, purchase = tariff.at(place)
        found.setdefault((verdict.model, verdict.target, purchase), [0.0, 0.0])[side] += price * devices


def _devices(kind: KindSpec, values: Values, stock: _Stock) -> tuple[float, str]:
    """Return how many devices an object has, shares as their parts, and where; whole places where it begins them."""
    if kind.count:
        has = values.get(kind.devices) or 0
        begun = next((name for name in values.get(kind.begins) or () if stock.devices.get(name)), "") if has else ""
        return float(replicas_of(kind, values) * stock.devices.get(begun, has)), begun
    spot = spot_of(kind, values)
    if spot is None:
        return 0.0, ""
    return sum(
        memory / stock.sizes[uuid] if memory and stock.sizes.get(uuid) else 1.0 for uuid, memory in spot.devices
    ), spot.place
