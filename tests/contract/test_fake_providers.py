"""The tests' own providers pass the conformance suite: in memory, on disk, and with faults switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.provider.protocol import Context, Provider
from infctl.provider.testkit import CHECKS, Check
from infctl.provider.values import Deployment, Share, Spot, Template
from infctl.secrets import SecretRef
from tests.fakes.failing import FailingProvider, FailingTarget
from tests.fakes.fleet import FleetProvider, FleetTarget
from tests.fakes.memory import MemoryProvider, MemoryTarget
from tests.fakes.world import World

PLACES = ("one", "two")
Open = Callable[[Context, World], Provider]


class FakeHarness:
    """Two places over one world. `open` makes a handle on it."""

    ready_timeout = 2.0

    def __init__(self, root: Path, open_: Open) -> None:
        self.context = Context("here", "kit", "default", "lin", root, root)
        self.world = World()
        self.open = open_

    def provider(self) -> Provider:
        return self.open(self.context, self.world)

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        template = Template("fake", "1", "file:x", "", "generate", args={"answers": revision}, env=env, memory=10)
        return Deployment("kit", revision, template, tuple(range(replicas)), ("kit",))

    def doomed(self, revision: int) -> Deployment:
        template = Template("fake", "1", "file:x", "", "generate", args={"answers": "dies"}, memory=10)
        return Deployment("kit", revision, template, (0,), ("kit",))

    def add_stranger(self) -> bool:
        thing = {"id": "x", "address": 'fake_process.kit["here/0"]', "name": "kit", "labels": None, "running": True}
        provider = self.provider()
        assert isinstance(provider, MemoryProvider)
        provider.world.put({**thing, "place": "one", "values": {}, "outputs": {}})
        return True

    def break_place(self) -> int:
        self.world.down.add("two")
        return 1  # of two replicas the second lives there

    def mend_place(self) -> None:
        self.world.down.clear()

    def close(self) -> None:
        """The world ends with the test."""


def in_memory(context: Context, world: World) -> Provider:
    return MemoryProvider(MemoryTarget(places=PLACES), context, world)


def on_disk(context: Context, world: World) -> Provider:
    provider = MemoryProvider(MemoryTarget(places=PLACES), context)
    provider.world.down = world.down
    return provider


def failing(context: Context, world: World) -> Provider:
    return FailingProvider(FailingTarget(places=PLACES), context, world)


class FleetHarness(FakeHarness):
    """Two hosts with a device each: the deployments say where their replicas run."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, in_a_fleet)

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        return _with_spots(super().wish(revision, replicas, env))

    def doomed(self, revision: int) -> Deployment:
        return _with_spots(super().doomed(revision))

    def break_place(self) -> int:
        return super().break_place() + 2  # and the host's relay and route


def _with_spots(wish: Deployment) -> Deployment:
    spots = (Spot(PLACES[slot % 2], (Share(f"{PLACES[slot % 2]}-gpu0", 10),)) for slot in wish.slots)
    return replace(wish, spots=tuple(spots))


def in_a_fleet(context: Context, world: World) -> Provider:
    return FleetProvider(FleetTarget(places=PLACES, gpus={"one": (40,), "two": (40,)}), context, world)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_fleet_conforms(check: Check, tmp_path: Path) -> None:
    check(FleetHarness(tmp_path))


@pytest.mark.parametrize("open_", [in_memory, on_disk, failing])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, open_: Open, tmp_path: Path) -> None:
    check(FakeHarness(tmp_path, open_))
