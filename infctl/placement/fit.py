"""Owns what a replica asks of a place, and what it is given there. Pure."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from infctl.placement.room import Held
from infctl.provider.values import Device, Spot

_GIB = 1024**3


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
    """A spot that a replica is given, and what it takes there."""

    target: str
    spot: Spot
    held: Held


def in_words(asked: Asked) -> str:
    """Return what is asked, as "2 H100s of one host whole and 8.00 GiB of memory"."""
    parts = []
    if asked.devices:
        product = asked.product or "GPU"
        gpus = f"1 {product}" if asked.devices == 1 else f"{asked.devices} {product}s of one host"
        parts.append(f"{gpus} whole" if asked.is_whole else f"{share_in_words(asked)} of {gpus}")
    if asked.memory or not parts:
        parts.append(f"{asked.memory / _GIB:.2f} GiB of memory")
    return " and ".join(parts)


def share_in_words(asked: Asked) -> str:
    """Return what is asked of each device, as "12.0 GiB" or "25%"."""
    return f"{asked.share / _GIB:.1f} GiB" if asked.share else f"{asked.fraction:.0%}"


def will_do(asked: Asked, device: Device) -> bool:
    """Return whether a device, were it free, has what is asked of each: only its name and its size count."""
    if device.parent and (not asked.share or asked.devices > 1):
        return False
    if asked.product and not is_product(asked.product, device.product.partition(" MIG ")[0]):
        return False
    return asked.share <= device.memory_total


@cache
def is_product(asked: str, product: str) -> bool:
    """Return whether a device that calls itself `product` is what the file calls `asked`."""
    from infctl.catalog.gpus import gpus  # noqa: PLC0415  -- only who names a product reads the catalogue
    from infctl.catalog.names import plain_gpu  # noqa: PLC0415

    wanted, found = gpus().find(asked), gpus().find(product)
    if wanted and found:
        return any(each in found for each in wanted)
    return plain_gpu(asked) == plain_gpu(product)
