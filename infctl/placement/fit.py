"""Owns whether a replica fits at one place, and which of the devices there it would have. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from math import ceil, comb
from typing import NamedTuple

from infctl.frozen import dataclass
from infctl.placement.room import Held, Pool, Room
from infctl.provider.values import Device, Place, Share, Spot

COARSE = 16  # parts of what a place or a device has: what is free goes up and down a little, and the choice should not
MOST_SETS = 100  # sets of devices of one place that are looked at; of more, only neighbours are


class Asked(NamedTuple):
    """What one replica needs of a place: bytes of memory, and of each of `devices` devices `share` bytes, or the part
    `fraction` of it, or where neither is said the whole. `product` is the name of the devices, where not all will do.
    """

    memory: int
    devices: int = 0
    share: int = 0
    fraction: float = 0.0
    product: str = ""

    @property
    def is_whole(self) -> bool:
        return bool(self.devices) and not self.share and not 0 < self.fraction < 1

    @property
    def size(self) -> tuple[int, bool, float, int]:
        """How hard it is to place: many devices, whole ones, large shares, much memory."""
        return self.devices, self.is_whole, self.share or self.fraction, self.memory


class Option(NamedTuple):
    """A spot that a replica may have, what it takes there, and how loosely it fits (less is tighter)."""

    target: str
    spot: Spot
    held: Held
    waste: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """What of a device a replica would take: `share` bytes, of `free` that are there (0: the whole)."""

    device: Device
    takes: int
    share: int
    free: int


class Site(NamedTuple):
    """A place of a target as a model finds it: `free` says what that model may take of a pool."""

    target: str
    place: Place
    room: Room
    free: Callable[[Pool], int]

    @property
    def memory(self) -> int:
        return self.free(Pool(self.target, self.place.name))


def options(site: Site, asked: Asked) -> Iterator[Option]:
    """Yield the spots at a place that have room, no two alike."""
    target, name = site.target, site.place.name
    memory = site.memory - asked.memory
    if asked.memory and memory < 0:
        return
    offers = _offers(site, asked)
    if len(offers) < asked.devices:
        return
    spare = len(offers) - asked.devices if asked.is_whole else 0
    roomy = memory * COARSE // max(1, site.place.memory_total)
    for chosen in _sets(offers, asked.devices):
        devices = sorted(chosen, key=lambda offer: offer.device.index)
        held = {Pool(target, name): asked.memory}
        held |= {Pool(target, name, offer.device.uuid): offer.takes for offer in devices}
        spot = Spot(name, tuple(Share(offer.device.uuid, offer.share) for offer in devices))
        left = sum((offer.free - offer.takes) * COARSE // max(1, offer.device.memory_total) for offer in devices)
        yield Option(target, spot, held, (spare, left, roomy, *_scattered(devices)))


def usable(site: Site, asked: Asked) -> int:
    """Return how many devices of a place have what is asked of each."""
    return len(_offers(site, asked))


def are_of(asked: Asked, device: Device) -> bool:
    """Return whether a device is of the product that is asked for."""
    return not asked.product or _is_product(asked.product, device.product.partition(" MIG ")[0])


@cache
def _is_product(asked: str, product: str) -> bool:
    from infctl.catalog.gpus import gpus  # noqa: PLC0415  -- only who names a product reads the catalogue
    from infctl.catalog.names import plain_gpu  # noqa: PLC0415

    wanted, found = gpus().find(asked), gpus().find(product)
    if wanted and found:
        return any(each in found for each in wanted)
    return plain_gpu(asked) == plain_gpu(product)


def _offers(site: Site, asked: Asked) -> list[Offer]:
    if not asked.devices:
        return []
    return [offer for device in site.place.devices if (offer := _offer(site, device, asked))]


def _offer(site: Site, device: Device, asked: Asked) -> Offer | None:
    """Return what of `device` would be taken, None where it cannot be had.

    A slice of a device is had only for its memory, and never together with others: engines that share a model over
    devices do not reach from slice to slice (NVIDIA MIG user guide, "CUDA device enumeration": one instance a process).
    """
    pool = Pool(site.target, site.place.name, device.uuid)
    there = site.free(pool)
    if not are_of(asked, device) or (device.parent and (not asked.share or asked.devices > 1)):
        return None
    if asked.is_whole:
        whole = site.room.whole.get(pool)
        return Offer(device, whole, 0, there) if whole is not None and there >= whole else None
    share = asked.share or ceil(asked.fraction * device.memory_total)
    return Offer(device, share, share, there) if share <= there else None


def _sets(offers: list[Offer], count: int) -> Iterator[tuple[Offer, ...]]:
    """Yield sets of `count` offers, of those that are alike the least scattered one."""
    if not count:
        yield ()
        return
    offers = sorted(offers, key=lambda offer: (offer.device.product, offer.device.index))
    if comb(len(offers), count) <= MOST_SETS:
        sets = list(combinations(offers, count))
    else:
        sets = [tuple(offers[start : start + count]) for start in range(len(offers) - count + 1)]
        sets.append(tuple(sorted(offers, key=lambda offer: -offer.free)[:count]))
    alike: dict[object, tuple[Offer, ...]] = {}
    for chosen in sorted(sets, key=_scattered):
        signature = tuple(sorted((o.device.product, o.device.memory_total, o.takes, o.free) for o in chosen))
        alike.setdefault(signature, chosen)
    yield from alike.values()


def _scattered(chosen: tuple[Offer, ...] | list[Offer]) -> tuple[float, ...]:
    """Return how far devices are apart: different products first, then their indices (neighbours share links)."""
    indices = [offer.device.index for offer in chosen]
    products = len({offer.device.product for offer in chosen})
    return (products, max(indices, default=0) - min(indices, default=0), min(indices, default=0))
