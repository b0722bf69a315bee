"""Owns a platform that runs containers where it likes: one object stands for all replicas of a model there.

With `elastic` it has whatever is asked of it; else `memory` bytes, and the devices of `gpus`, by node. `most` nodes are
begun when they are asked for: then `gpus` are kinds of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from pydantic import BaseModel

from infctl.address import Address
from infctl.provider.kinds import FieldSpec, KindSpec
from infctl.provider.values import Change, Desired, Device, Inventory, Place, Reading, TargetWant
from tests.fakes.memory import KINDS, PROCESS, ROUTE, MemoryProvider, MemoryTarget
from tests.fakes.target_types import CONTAINERS

_PROCESS = KINDS[PROCESS]
_FIELDS = {**_PROCESS.fields, "replicas": FieldSpec(), "gpus": FieldSpec(), "begins": FieldSpec()}


class PlatformTarget(MemoryTarget):
    elastic: bool = True
    gpus: Mapping[str, tuple[int, ...]] = {}
    most: int | None = None


class PlatformProvider(MemoryProvider):
    config: ClassVar[type[BaseModel]] = PlatformTarget
    serves: ClassVar[frozenset[str]] = CONTAINERS
    kinds: ClassVar[Mapping[str, KindSpec]] = {
        **KINDS,
        PROCESS: KindSpec(
            _PROCESS.role, _FIELDS, _PROCESS.outputs, gated=True, count="replicas", devices="gpus", begins="begins"
        ),
    }

    def inventory(self) -> Reading[Inventory]:
        assert isinstance(self.settings, PlatformTarget)
        if self.settings.elastic:
            return Reading(Inventory())
        running = (thing["values"] for thing in self.world.things() if "replicas" in thing["values"])
        busy = sum(values["replicas"] * (1 if values["begins"] else values["gpus"]) for values in running)
        if self.settings.most is not None:
            kinds = (
                replace(self._node(name, sizes, 0), instance=name, most=None)
                for name, sizes in self.settings.gpus.items()
            )
            return Reading(Inventory(tuple(kinds), most=self.settings.most - busy))
        places = []
        for name, sizes in self.settings.gpus.items():
            places.append(self._node(name, sizes, min(busy, len(sizes))))
            busy -= min(busy, len(sizes))
        return Reading(Inventory(tuple(places)))

    def _node(self, name: str, sizes: tuple[int, ...], busy: int) -> Place:
        devices = tuple(
            Device(n, f"{name}-{n}", "NVIDIA L40S", size, 0 if n < busy else size, n < busy)
            for n, size in enumerate(sizes)
        )
        return Place(name, 8, self.settings.memory, self.settings.memory, devices)

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        assert isinstance(self.settings, PlatformTarget)
        begins = tuple(self.settings.gpus) if self.settings.most is not None else ()
        return tuple(_as_one(super().lower(want, have), want, begins))

    def _place(self, change: Change) -> str:
        del change
        return self.settings.places[0]


def _as_one(made: tuple[Desired, ...], want: TargetWant, begins: tuple[str, ...]) -> Iterator[Desired]:
    """Yield the resources with the replicas of a model as one object, to which its route refers."""
    slots = {wish.model: len(wish.slots) for wish in want.deployments}
    gpus = {wish.model: wish.template.gpus for wish in want.deployments}
    seen: set[str] = set()
    for each in made:
        if each.address.kind == PROCESS and each.model not in seen:
            seen.add(each.model)
            values = {**each.values, "replicas": slots[each.model], "gpus": gpus[each.model], "begins": begins}
            yield replace(each, address=Address(PROCESS, each.model, want.target), values=values)
        elif each.address.kind == ROUTE:
            refs = tuple(
                replace(ref, address=Address(PROCESS, each.model, want.target)) for ref in each.values["backends"]
            )
            yield replace(each, values={**each.values, "backends": refs[:1]})
        elif each.address.kind != PROCESS:
            yield each
