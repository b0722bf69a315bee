"""Owns a place to run with several hosts and their devices, where the core says which replica goes where.

It refuses what no real host could give: memory or a part of a device that somebody has already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import BaseModel

from infctl.address import Address
from infctl.provider.errors import ProviderError
from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Device,
    Inventory,
    Place,
    Purchase,
    Reading,
    Ref,
    TargetWant,
    Values,
    template_values,
)
from tests.fakes.failing import FailingProvider, FailingTarget
from tests.fakes.memory import KINDS, PROCESS, RELAY, ROUTE
from tests.fakes.world import World

_MOVED = FieldSpec("what runs cannot be moved")
FLEET_KINDS: Mapping[str, KindSpec] = {
    PROCESS: KindSpec(
        Role.REPLICA,
        {**KINDS[PROCESS].fields, "host": _MOVED, "devices": _MOVED},
        outputs=("url",),
        gated=True,
        place="host",
        devices="devices",
    ),
    RELAY: KINDS[RELAY],
    ROUTE: KINDS[ROUTE],
}


class FleetTarget(FailingTarget):
    """`places` are the hosts, with `memory` bytes each. `gpus` are the bytes of each device of a host, `others` what
    strangers use of a device, by its uuid: HOST-gpuINDEX. `down` are hosts that nobody reaches. `prices` are dollars an
    hour of a device of a host, and how it is paid for; `islands` are the fast links' groups of devices, by uuid.
    """

    down: frozenset[str] = frozenset()
    gpus: Mapping[str, tuple[int, ...]] = {}
    others: Mapping[str, int] = {}
    prices: Mapping[str, tuple[float, Purchase]] = {}
    islands: Mapping[str, str] = {}


class FleetProvider(FailingProvider):
    config: ClassVar[type[BaseModel]] = FleetTarget
    kinds: ClassVar[Mapping[str, KindSpec]] = FLEET_KINDS
    serves: ClassVar[frozenset[str]] = FailingProvider.serves | {"gpu"}

    def __init__(self, config: BaseModel, context: Context, world: World | None = None) -> None:
        super().__init__(config, context, world)
        self.world.down |= self.fleet.down

    @property
    def fleet(self) -> FleetTarget:
        assert isinstance(self.settings, FleetTarget)
        return self.settings

    def inventory(self) -> Reading[Inventory]:
        up = (name for name in self.fleet.places if name not in self.world.down)
        return Reading(Inventory(tuple(map(self._host, up))), self._unreadable())

    def _host(self, name: str) -> Place:
        sizes = self.fleet.gpus.get(name, ())
        devices = tuple(self._device(f"{name}-gpu{index}", index, size) for index, size in enumerate(sizes))
        price: float | None = None
        purchase: Purchase = "owned"
        if name in self.fleet.prices:
            price, purchase = self.fleet.prices[name]
        return Place(
            name,
            8,
            self.fleet.memory,
            self.fleet.memory - self._used(name),
            devices,
            price,
            purchase,
            priced="the fleet's list" if price else "",
        )

    def _device(self, uuid: str, index: int, size: int) -> Device:
        others, ours = self.fleet.others.get(uuid, 0), sum(self._shares(uuid, size))
        taken = others > size // 10 or bool(ours)
        island = self.fleet.islands.get(uuid, "")
        return Device(index, uuid, "Toy 10", size, max(0, size - others - ours), taken, island=island)

    def _used(self, place: str, besides: str = "") -> int:
        mine = (t for t in self.world.things() if t["running"] and t["place"] == place and t["id"] != besides)
        return sum(thing["values"].get("memory", 0) for thing in mine)

    def _shares(self, uuid: str, size: int, besides: str = "") -> Iterator[int]:
        for thing in self.world.things():
            if thing["running"] and thing["id"] != besides:
                yield from (share or size for device, share in thing["values"].get("devices", ()) if device == uuid)

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have
        if not want.deployments:
            return ()
        places = self.fleet.places
        relays = (Desired(Address(RELAY, want.target, place), want.target, {}) for place in places)
        return (*relays, *(made for wish in want.deployments for made in _lower_model(wish, want.target, places)))

    def _place(self, change: Change) -> str:
        if change.address.kind == PROCESS:
            return str((change.after or {}).get("host", ""))
        return change.address.key.rpartition("/")[2]

    def _refuse_too_much(self, change: Change) -> None:
        place, values = self._place(change), change.after or {}
        if change.address.kind == PROCESS and place not in self.fleet.places:
            raise ProviderError(f"there is no host {place!r}", address=str(change.address))
        if values.get("memory") and self._used(place, change.id) + values["memory"] > self.fleet.memory:
            raise ProviderError(f"{place} has no memory left", address=str(change.address))
        for uuid, share in values.get("devices", ()):
            size = self.fleet.gpus[place][int(uuid.rpartition("gpu")[2])]
            others, ours = self.fleet.others.get(uuid, 0), list(self._shares(uuid, size, change.id))
            whole_but_shared = not share and (ours or others > size // 10)
            if whole_but_shared or (share and others + sum(ours) + share > size):
                raise ProviderError(f"{uuid} is promised already", address=str(change.address))


def _lower_model(wish: Deployment, target: str, places: tuple[str, ...]) -> Iterator[Desired]:
    template = template_values(wish.template)
    memory = template.pop("memory")
    values: Values = {"revision": wish.revision, "template": template, "memory": memory, "tags": wish.tags}
    backends = []
    for slot, spot in zip(wish.slots, wish.spots, strict=True):
        address = Address(PROCESS, wish.model, f"{target}/{slot}")
        backends.append(Ref(address, "url"))
        here = {**values, "host": spot.place, "devices": tuple(map(tuple, spot.devices))}
        yield Desired(address, target, here, wish.model, wish.revision, wish.spec_hash)
    for place in places:
        route = {
            "port": wish.port,
            "bind": wish.bind,
            "names": wish.served_names,
            "backends": tuple(backends),
            "relay": Ref(Address(RELAY, target, place), "control"),
        }
        yield Desired(Address(ROUTE, wish.model, f"{target}/{place}"), target, route, wish.model, wish.revision)
