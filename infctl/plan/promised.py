"""Owns what replicas hold of the room, as their values say it, and what is free as the targets were read. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infctl.placement.room import Held, Pool, Room
from infctl.plan.request import TargetView
from infctl.provider.kinds import KindSpec
from infctl.provider.values import Device, Inventory, Share, Spot, Values
from infctl.state.model import Resource

DEVICES = "GPUs"  # all of a target that chooses them itself
LITTLE = 0.1  # the part of a device that others may use before it can no longer be had whole


def spot_of(kind: KindSpec, values: Values) -> Spot | None:
    """Return where an object with `values` is; None for a kind whose place the core does not choose."""
    if not kind.place:
        return None
    shares = tuple(Share(*share) for share in values.get(kind.devices) or ()) if kind.devices else ()
    return Spot(values.get(kind.place) or "", shares)


def replicas_of(kind: KindSpec, values: Values) -> int:
    """Return how many replicas an object with `values` stands for."""
    return int(values.get(kind.count) or 0) if kind.count else 1


def promised(target: str, kind: KindSpec, values: Values, room: Room) -> Held:
    """Return what an object with `values` holds once it runs."""
    found = values.get("memory", 0)
    memory = found if isinstance(found, int) else 0
    if kind.count:
        return of_all(target, replicas_of(kind, values), memory, values.get(kind.devices) or 0)
    spot = spot_of(kind, values)
    return {Pool(target): memory} if spot is None else room.held_at(target, spot, memory)


def of_all(target: str, replicas: int, memory: int, devices: int) -> Held:
    """Return what `replicas` take together of a target that chooses places itself, each so much memory and devices."""
    held = {Pool(target): replicas * (0 if devices else memory)}  # with devices, memory is theirs
    return {**held, Pool(target, device=DEVICES): replicas * devices} if devices else held


def room_of(views: Mapping[str, TargetView], resources: Iterable[Resource]) -> Room:
    """Return the room of all targets. `resources` are ours: what they hold says what a device had whole is worth."""
    free: dict[Pool, int] = {}
    whole: dict[Pool, int] = {}
    ours = _ours(views, resources)
    for name, view in views.items():
        if not view.places_replicas:
            if view.inventory.places and view.inventory.stands:
                free[Pool(name)] = sum(place.memory_free for place in view.inventory.places)
                if any(kind.count and kind.devices for kind in view.kinds.values()):
                    every = (device for place in view.inventory.places for device in place.devices)
                    free[Pool(name, device=DEVICES)] = sum(not device.taken for device in every)
            elif (most := _to_begin(view.inventory)) is not None:
                free[Pool(name, device=DEVICES)] = most
            continue
        for place in view.inventory.places:
            free[Pool(name, place.name)] = place.memory_free
            for device in place.devices:
                pool = Pool(name, place.name, device.uuid)
                free[pool] = device.memory_free
                if worth := _worth(device, ours.get(pool, ())):
                    whole[pool] = worth
    limits = {name: view.inventory.limit for name, view in views.items() if view.inventory.limit}
    return Room(free, whole, limits)


def _to_begin(have: Inventory) -> int | None:
    """Return how many devices a platform may begin on places that do not stand yet, None for as many as wanted."""
    most = [have.most if place.most is None else place.most for place in have.places]
    sizes = [len(place.devices) for place in have.places]
    if None in most or not any(sizes):
        return None
    total = sum((many or 0) * size for many, size in zip(most, sizes, strict=True))
    return total if have.most is None else min(total, have.most * max(sizes))


def _ours(views: Mapping[str, TargetView], resources: Iterable[Resource]) -> dict[Pool, tuple[int, ...]]:
    """Return what our running replicas have of each device; 0 is the whole."""
    found: dict[Pool, tuple[int, ...]] = {}
    running = {seen.id for view in views.values() if view.places_replicas for seen in view.observed if seen.running}
    for thing in resources:
        if thing.id not in running:
            continue
        spot = spot_of(views[thing.target].kinds[thing.address.kind], thing.values)
        if spot is None:
            continue
        for device, share in spot.devices:
            pool = Pool(thing.target, spot.place, device)
            found[pool] = (*found.get(pool, ()), share)
    return found


def _worth(device: Device, ours: tuple[int, ...]) -> int:
    """Return what having a device whole takes: all that is free, and all that is ours already; 0 where others have it.

    Who has a part of a device that is ours too is not told, so what is missing of its memory says it.
    """
    worth = device.memory_free + sum(share or device.memory_total for share in ours)
    by_others = worth < (1 - LITTLE) * device.memory_total if ours else device.taken
    return 0 if by_others else worth
