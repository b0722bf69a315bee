"""Owns what replicas cost an hour, before and after a plan: by model, target and how the devices are paid for. Pure.

A replica costs what its devices cost where it is: a whole device its place's price, a share its part of the memory.
Only what has a price is counted; a place that could not be read has that of its target's other places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infctl.frozen import dataclass
from infctl.plan.compare import Verdict
from infctl.plan.model import Cost
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
        tariff = tariffs[verdict.target]
        have, want = verdict.have, verdict.want
        if have is not None and (verdict.live or verdict.unknown):
            _count(found, verdict, have.values, tariff, 0)
        if verdict.unknown and have is not None and not verdict.is_lost:
            _count(found, verdict, have.values, tariff, 1)
        elif want is not None:
            _count(found, verdict, verdict.values, tariff, 1)
    return tuple(Cost(*key, *sides) for key, sides in found.items())


def sources(views: Mapping[str, TargetView]) -> tuple[str, ...]:
    """Return where the prices of all targets are from, each once."""
    every = (place.priced for view in views.values() for place in view.inventory.places if place.price is not None)
    return tuple(dict.fromkeys(each for each in every if each))


def _tariff(view: TargetView) -> _Tariff | None:
    priced = {place.name: (place.price, place.purchase) for place in view.inventory.places if place.price is not None}
    if not priced:
        return None
    sizes = {device.uuid: device.memory_total for place in view.inventory.places for device in place.devices}
    return _Tariff(priced, sizes)


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
