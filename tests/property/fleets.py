"""Owns a stack on hosts with devices: where its replicas run, and a walk through plans that counts what is promised."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from infctl.placement.room import Pool
from infctl.plan.model import Plan, Step
from infctl.provider.protocol import Context
from infctl.provider.values import Change, Deployment, Do, Emit, Observed, Purchase, Values
from tests.fakes.failing import FailingTarget
from tests.fakes.fleet import FleetProvider, FleetTarget
from tests.fakes.memory import PROCESS
from tests.fakes.world import World
from tests.property.stacks import MortalProvider, Stack, Wish, Wishes

RACK = "rack"


@dataclass(frozen=True)
class GpuWish(Wish):
    """What the file says of a model on a fleet: `gpus` devices, of each `share` bytes, or `fraction`, or the whole."""

    target: str = RACK
    gpus: int = 0
    share: int = 0
    fraction: float = 0.0

    def deployment(self, model: str) -> Deployment:
        plain = super().deployment(model)
        template = replace(plain.template, gpus=self.gpus, gpu_memory=self.share, gpu_fraction=self.fraction)
        return replace(plain, template=template)


@dataclass
class Fall:
    """A host that is gone from the `at`-th call on, of all calls that change something."""

    host: str = ""
    at: int = 0
    count: int = 0


class MortalFleet(MortalProvider, FleetProvider):
    """A fleet whose user may be killed at any call, and of which a host may fall at any."""

    fall: Fall

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        self.fall.count += 1
        if self.fall.count == self.fall.at:
            self.world.down.add(self.fall.host)
        return super().apply(change, emit)


@dataclass
class Fleet(Stack):
    """`gpus` are the bytes of each device by host; `room` is the memory of each host."""

    gpus: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    others: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, tuple[float, Purchase]] = field(default_factory=dict)
    islands: Mapping[str, str] = field(default_factory=dict)
    fall: Fall = field(default_factory=Fall)
    worlds: dict[str, World] = field(default_factory=lambda: {RACK: World()})

    def provider(self, target: str, faults: FailingTarget | None = None) -> FleetProvider:
        context = Context(target, "shop", "default", "lin", Path("/nowhere"), Path("/nowhere"))
        asked = (faults or FailingTarget()).model_dump() | {"memory": self.room, "volatile": True}
        hosts = {
            "places": tuple(self.gpus),
            "gpus": self.gpus,
            "others": self.others,
            "prices": self.prices,
            "islands": self.islands,
        }
        config = FleetTarget(**{**asked, **hosts})
        if faults is None:
            return FleetProvider(config, context, self.worlds[target])
        mortal = MortalFleet(config, context, self.worlds[target])
        mortal.fall = self.fall
        return mortal

    @property
    def world(self) -> World:
        return self.worlds[RACK]

    def expected(self, wishes: Wishes) -> list[str]:
        wanted = {name: wish for name, wish in wishes.items() if wish.replicas}
        found = [f'{PROCESS}.{name}["{RACK}/{slot}"]' for name, wish in wanted.items() for slot in range(wish.replicas)]
        found += (f'fake_route.{name}["{RACK}/{host}"]' for name in wanted for host in self.gpus)
        return found + [f'fake_relay.{RACK}["{host}"]' for host in self.gpus if wanted]

    def spots(self, model: str) -> dict[int, tuple[str, tuple[tuple[str, int], ...]]]:
        """Return host and devices of each replica of `model` that state has at its address."""
        return {
            thing.address.slot: (thing.values["host"], tuple(thing.values["devices"]))
            for thing in self.state.resources.values()
            if thing.address.kind == PROCESS and thing.model == model and not thing.deposed
        }


def held(values: Values, gpus: Mapping[str, tuple[int, ...]]) -> dict[Pool, int]:
    """Return what a replica with `values` holds, by place and device."""
    found = {Pool(RACK, values["host"]): values["memory"]}
    for uuid, share in values["devices"]:
        host, _, index = uuid.rpartition("-gpu")
        pool = Pool(RACK, host, uuid)
        found[pool] = found.get(pool, 0) + (share or gpus[host][int(index)])
    return found


def promised_at_most(fleet: Fleet, plan: Plan, seed: int) -> dict[Pool, int]:
    """Return the most that is held of each pool while `plan` is carried out in some order that its needs allow.

    What is made holds from its beginning, what is removed until its end; makers are preferred, as the worst order.
    """
    choose = random.Random(seed)
    holding = {
        thing.id: held(thing.values, fleet.gpus)
        for thing in fleet.state.resources.values()
        if thing.address.kind == PROCESS and (seen := fleet.world.get(thing.id)) and seen["running"]
    }
    most = _totals(holding.values())
    left: dict[str, Step] = {step.id: step for step in plan.steps}
    while left:
        ready = [step for step in left.values() if left.keys().isdisjoint(step.needs)]
        makers = [step for step in ready if step.do in {Do.CREATE, Do.UPDATE}]
        step = choose.choice(makers or ready)
        del left[step.id]
        if step.address.kind != PROCESS:
            continue
        if step.do is Do.DELETE:
            holding.pop(step.object, None)
        elif step.set is not None:
            holding[step.object] = held(step.set, fleet.gpus)
        for pool, size in _totals(holding.values()).items():
            most[pool] = max(most.get(pool, 0), size)
    return most


def _totals(every: Iterable[Mapping[Pool, int]]) -> dict[Pool, int]:
    totals: dict[Pool, int] = {}
    for each in every:
        for pool, size in each.items():
            totals[pool] = totals.get(pool, 0) + size
    return totals


def limits(fleet: Fleet) -> dict[Pool, int]:
    """Return how much of each pool there is for us."""
    found = {Pool(RACK, host): fleet.room for host in fleet.gpus}
    for host, sizes in fleet.gpus.items():
        for index, size in enumerate(sizes):
            uuid = f"{host}-gpu{index}"
            found[Pool(RACK, host, uuid)] = size - fleet.others.get(uuid, 0)
    return found
