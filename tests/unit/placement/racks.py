"""Owns small racks for tests of placement: hosts with devices of 80 bytes, unless they are said otherwise."""

from __future__ import annotations

from infctl.placement.parties import Sites
from infctl.placement.room import Pool, Room
from infctl.provider.values import Device, Place


def device(uuid: str, index: int = 0, product: str = "NVIDIA L40S", *, island: str = "") -> Device:
    return Device(index, uuid, product, 80, 80, island=island)


def host(name: str, devices: int = 0, *, product: str = "NVIDIA L40S", memory: int = 100, zone: str = "") -> Place:
    every = tuple(device(f"{name}g{index}", index, product) for index in range(devices))
    return Place(name, 8, memory, memory, every, zone=zone)


def rack(*hosts: Place, **more: tuple[Place, ...]) -> Sites:
    """Return sites of the target `rack`, and of others by name, with all of it free."""
    places = {"rack": hosts, **more}
    every = [(target, place) for target, mine in places.items() for place in mine]
    whole = {Pool(target, place.name, d.uuid): d.memory_free for target, place in every for d in place.devices}
    return Sites(places, Room({Pool(target, place.name): place.memory_free for target, place in every} | whole, whole))
