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
class _Tariff:
    """What a device costs at each place of a target, and what the whole of each device is."""

    prices: Mapping[str, tuple[float, str]]
    sizes: Mapping[str, int]

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
    sizes = {name: _sizes(view) for name, view in views.items() if _tariff(view) is None}
    found: dict[str, list[float]] = {}
    for verdict in verdicts if sizes else ():
        if verdict.target not in sizes or not verdict.is_replica:
            continue
        for side, values in _sides(verdict):
            devices, _ = _devices(verdict.kind, values, sizes[verdict.target])
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
    return _Tariff(priced, _sizes(view))


def _sizes(view: TargetView) -> Mapping[str, int]:
    return {device.uuid: device.memory_total for place in view.inventory.places for device in place.devices}


def _count(
    found: dict[tuple[str, str, str], list[float]], verdict: Verdict, values: Values, tariff: _Tariff, side: int
) -> None:
    devices, place = _devices(verdict.kind, values, tariff.sizes)
    if devices:
        price, purchase = tariff.at(place)
        found.setdefault((verdict.model, verdict.target, purchase), [0.0, 0.0])[side] += price * devices


def _devices(kind: KindSpec, values: Values, sizes: Mapping[str, int]) -> tuple[float, str]:
    """Return how many devices an object has, shares as their parts, and where."""
    if kind.count:
        return float(replicas_of(kind, values) * (values.get(kind.devices) or 0)), ""
    spot = spot_of(kind, values)
    if spot is None:
        return 0.0, ""
    return sum(memory / sizes[uuid] if memory and sizes.get(uuid) else 1.0 for uuid, memory in spot.devices), spot.place
