"""Replicas over two racks, whatever is asked: as few as can be on the second, none twice, and what runs stays."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from infctl.diagnostics import InfctlError
from infctl.placement.place import Where, place
from infctl.plan.model import Action
from infctl.plan.placing import Elsewhere
from infctl.plan.request import Request
from infctl.plan.revisions import Assigned, assign
from infctl.provider.values import Deployment
from tests.fakes.failing import FailingTarget
from tests.fakes.fleet import FleetProvider
from tests.fakes.memory import PROCESS
from tests.fakes.world import World
from tests.property.fleets import Fleet, GpuWish, held
from tests.property.stacks import Death, Wishes

ORDER = ("rack", "lab")
HOSTS: Mapping[str, tuple[str, ...]] = {"rack": ("a", "b"), "lab": ("c",)}


@dataclass
class Racks(Fleet):
    """Two targets, each with its hosts; a model whose wish says so lives on the first, and else goes on."""

    worlds: dict[str, World] = field(default_factory=lambda: {name: World() for name in ORDER})
    only_first: frozenset[str] = frozenset()

    def provider(self, target: str, faults: FailingTarget | None = None) -> FleetProvider:
        mine = replace(self, gpus={host: self.gpus[host] for host in HOSTS[target]})
        return Fleet.provider(mine, target, faults)

    def wishes_at(self, wishes: Wishes, where: Where) -> tuple[tuple[str, Deployment], ...]:
        return tuple(
            (placed.target, replace(wish.deployment(name), slots=placed.slots))
            for name, wish in wishes.items()
            for placed in place(self.order_of(name), wish.replicas, where.get(name, {}))
            if wish.replicas
        )

    def order_of(self, name: str) -> tuple[str, ...]:
        return ORDER[:1] if name in self.only_first else ORDER

    def now(self) -> Where:
        found: dict[str, dict[str, list[int]]] = {}
        for thing in self.state.resources.values():
            if thing.address.kind == PROCESS and not thing.deposed:
                found.setdefault(thing.model, {}).setdefault(thing.target, []).append(thing.address.slot)
        return found

    def first_placed(self, wishes: Wishes) -> tuple[tuple[str, Deployment], ...]:
        return self.wishes_at(wishes, self.now())

    def elsewhere(self, wishes: Wishes, request: Request) -> Elsewhere:
        def spares() -> Iterator[tuple[str, Deployment]]:
            for name, wish in wishes.items():
                for target in self.order_of(name):
                    yield target, replace(wish.deployment(name), slots=())

        def assigned(where: Where) -> Assigned:
            return assign(self.wishes_at(wishes, {**self.now(), **where}), self.state, request)

        return Elsewhere(spares, assigned)

    def homes(self) -> dict[tuple[str, str, int], str]:
        """Return the id of each replica by model, target and slot."""
        return {
            (thing.model, thing.target, thing.address.slot): thing.id
            for thing in self.state.resources.values()
            if thing.address.kind == PROCESS and not thing.deposed
        }

    def counts(self, model: str) -> tuple[int, ...]:
        return tuple(sum(1 for name, of, _ in self.homes() if (name, of) == (model, target)) for target in ORDER)


def racks(*sizes: int, only_first: frozenset[str] = frozenset()) -> Racks:
    """Return racks whose hosts a, b and c have so many devices of 80 bytes each."""
    return Racks(1000, gpus=dict(zip("abc", ((80,) * n for n in sizes), strict=True)), only_first=only_first)


def promised_twice(stack: Racks) -> bool:
    """Return whether any device or memory of a host is promised to more than it has."""
    totals: dict[object, int] = {}
    for world in stack.worlds.values():
        for thing in world.things():
            if thing["address"].startswith(PROCESS) and thing["running"]:
                for pool, size in held(thing["values"], stack.gpus).items():
                    totals[pool.place, pool.device] = totals.get((pool.place, pool.device), 0) + size
    sizes = {(host, f"{host}-gpu{n}"): 80 for host, devices in stack.gpus.items() for n in range(len(devices))}
    return any(size > sizes.get(key, stack.room) for key, size in totals.items())  # type: ignore[call-overload]  # keys


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_asked_is_placed_as_near_as_can_be_and_stays(seed: int) -> None:
    chance = random.Random(seed)
    stack = racks(*(chance.randint(0, 3) for _ in "abc"), only_first=frozenset({"m2"}))
    devices = {target: sum(len(stack.gpus[host]) for host in HOSTS[target]) for target in ORDER}
    for _ in range(4):
        wishes: Wishes = {f"m{n}": GpuWish(chance.randint(0, 3), gpus=1) for n in range(1, 4)}
        asked = sum(wish.replicas for wish in wishes.values())
        before = stack.homes()
        kept = [min(stack.counts(f"m{n}")[0], wishes[f"m{n}"].replicas) for n in (1, 3)]
        if asked > sum(devices.values()) or wishes["m2"].replicas + sum(kept) > devices["rack"]:
            with pytest.raises(InfctlError, match="no-room"):
                stack.plan(wishes)
            continue
        plan = stack.plan(wishes)
        outcome = stack.apply(plan)
        assert outcome is not None
        assert outcome.ok, outcome.failures
        assert sum(sum(stack.counts(name)) for name in wishes) == asked
        assert not promised_twice(stack)
        stayed = {key: ident for key, ident in before.items() if key in stack.homes()}
        assert stayed.items() <= stack.homes().items()
        assert not any(
            c.action in {Action.REPLACE, Action.REPLACE_BESIDE} for c in plan.changes if c.address.kind == PROCESS
        )
        again = stack.plan(wishes)
        assert again.is_empty, again.changes


def test_as_few_as_can_be_go_on_and_those_that_may_not_have_the_first() -> None:
    stack = racks(1, 1, 2, only_first=frozenset({"bound"}))
    wishes: Wishes = {"free": GpuWish(2, gpus=1), "bound": GpuWish(1, gpus=1)}
    outcome = stack.apply(stack.plan(wishes))
    assert outcome is not None
    assert outcome.ok
    assert (stack.counts("free"), stack.counts("bound")) == ((1, 1), (1, 0))


def applied(stack: Racks, wishes: Wishes, request: Request | None = None) -> None:
    outcome = stack.apply(stack.plan(wishes, request))
    assert outcome is not None
    assert outcome.ok, outcome.failures


def test_what_is_given_up_goes_on_and_its_place_is_emptied_when_it_is_back() -> None:
    stack = racks(1, 1, 1)
    wishes: Wishes = {"chat": GpuWish(2, gpus=1)}
    applied(stack, wishes)
    assert stack.counts("chat") == (2, 0)
    stack.worlds["rack"].down.add("b")
    applied(stack, wishes, Request(evacuate=("b",)))
    assert stack.counts("chat") == (1, 1)
    assert stack.plan(wishes, Request(allow_unreachable=True)).is_empty
    stack.worlds["rack"].down.clear()
    applied(stack, wishes)
    assert stack.counts("chat") == (1, 1)
    assert not promised_twice(stack)
    assert stack.plan(wishes).is_empty


def test_a_target_that_cannot_be_read_is_none_to_go_on_to() -> None:
    stack = racks(1, 0, 1)
    wishes: Wishes = {"chat": GpuWish(2, gpus=1)}
    stack.worlds["lab"].down.add("c")
    with pytest.raises(InfctlError, match="no-room"):
        stack.plan(wishes, Request(allow_unreachable=True))


@pytest.mark.parametrize("at", range(1, 30, 3))
def test_killed_at_any_point_the_next_run_ends_it(at: int) -> None:
    stack = racks(1, 1, 2)
    wishes: Wishes = {"chat": GpuWish(4, gpus=1)}
    stack.apply(stack.plan(wishes), death=Death(at))
    applied(stack, wishes)
    assert stack.counts("chat") == (2, 2)
    assert not promised_twice(stack)
    assert stack.plan(wishes).is_empty
    assert len([t for world in stack.worlds.values() for t in world.things() if t["address"].startswith(PROCESS)]) == 4


def test_many_that_go_on_are_told_in_few_words() -> None:
    stack = racks(0, 0, 9)
    stack.plan({f"m{n}": GpuWish(1, gpus=1) for n in range(9)})
    assert stack.note.count("goes on along placement.order") == 5
    assert stack.note.endswith("And 4 more models.")
