"""Owns a fleet whose replicas are containers of images, on GPUs that the catalogue knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel

from infctl.provider.values import Device
from tests.fakes.fleet import FleetProvider, FleetTarget
from tests.fakes.target_types import CONTAINERS


class YardTarget(FleetTarget):
    """`products` are the names of the devices of a host, "L40S" where they are not said."""

    products: Mapping[str, str] = {}


class YardProvider(FleetProvider):
    config: ClassVar[type[BaseModel]] = YardTarget
    serves: ClassVar[frozenset[str]] = FleetProvider.serves | CONTAINERS

    def _device(self, uuid: str, index: int, size: int) -> Device:
        found = super()._device(uuid, index, size)
        assert isinstance(self.settings, YardTarget)
        product = self.settings.products.get(uuid.rpartition("-")[0], "NVIDIA L40S")
        return Device(index, uuid, product, size, found.memory_free, found.taken, compute="8.9")
