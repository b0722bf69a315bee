"""Owns a whole stack in memory: wishes, world and state, with the real planner and the real executor between them."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infctl.apply.executor import execute
from infctl.apply.outcome import Outcome
from infctl.plan.evacuate import with_places_left
from infctl.plan.model import Plan
from infctl.plan.placing import Elsewhere, place
from infctl.plan.planner import make_plan
from infctl.plan.refresh import refresh
from infctl.plan.request import Question, Request, TargetView
from infctl.plan.revisions import assign
from infctl.plan.spots import Manner
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Emit,
    Inventory,
    Observed,
    Scope,
    TargetWant,
    Template,
)
from infctl.secrets import Secret, SecretRef
from infctl.state.journal import Record
from infctl.state.model import ModelState, State
from tests.fakes.failing import FailingProvider, FailingTarget
from tests.fakes.lease import MemoryLease
from tests.fakes.memory import PROCESS, MemoryProvider, MemoryTarget
from tests.fakes.world import World

KEY = b"k" * 32
NOON = "2026-01-01T00:00:00+00:00"
TARGETS = ("here", "there")
Wishes = dict[str, "Wish"]


@dataclass(frozen=True)
class Wish:
    """What the file says of a model. `variant` and `memory` are part of its revision, the rest changes in place."""

    replicas: int = 1
    variant: int = 0
    memory: int = 10
    port: int = 0
    tag: str = ""
    target: str = "here"
    secret: bool = False

    def deployment(self, model: str) -> Deployment:
        env = {"TOKEN": SecretRef("hf")} if self.secret else {}
        template = Template(
            "toy", "1", "file:m", "abc", "generate", args={"variant": self.variant}, env=env, memory=self.memory
        )
        tags = {"tag": self.tag} if self.tag else {}
        slots = tuple(range(self.replicas))
        return Deployment(model, 0, template, slots, (model,), port=self.port, tags=tags)


class Killed(BaseException):
    """The process is gone, as after SIGKILL: nothing after it happens."""


@dataclass
class Death:
    """Kills the process at the `at`-th durable write or provider call, before or after it is done."""

    at: int = 0
    count: int = 0
    dead: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self) -> bool:
        with self.lock:
            self.count += 1
            self.dead = self.dead or self.count == self.at
            return self.dead


class MortalLease(MemoryLease):
    def __init__(self, state: State, death: Death, fence: int) -> None:
        super().__init__(state, fence=fence)
        self.death = death

    def append(self, records: Sequence[Record]) -> None:
        if self.death.strikes():
            raise Killed
        super().append(records)
        if self.death.strikes():
            raise Killed

    def commit(self, state: State, *, force: bool = False) -> None:
        if self.death.strikes():
            raise Killed
        super().commit(state, force=force)


class MortalProvider(FailingProvider):
    death: Death
    touched: set[str]

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        self.touched.add(change.id)
        if self.death.strikes():
            raise OSError("nobody hears this")
        seen = super().apply(change, emit)
        self.death.strikes()
        return seen


@dataclass
class Stack:
    """`room` is the memory of each target. `touched` are the ids that the last run told providers to change."""

    room: int = 1000
    state: State = field(default_factory=lambda: State("lin", "shop"))
    worlds: dict[str, World] = field(default_factory=lambda: {name: World() for name in TARGETS})
    fence: int = 0
    touched: set[str] = field(default_factory=set)
    manners: dict[str, Manner] = field(default_factory=dict)
    note: str = ""  # what was said of the last plan's placement

    def provider(self, target: str, faults: FailingTarget | None = None) -> MemoryProvider:
        context = Context(target, "shop", "default", "lin", Path("/nowhere"), Path("/nowhere"))
        if faults is not None:
            faults = faults.model_copy(update={"memory": self.room, "volatile": True})
            return MortalProvider(faults, context, self.worlds[target])
        return MemoryProvider(MemoryTarget(memory=self.room, volatile=True), context, self.worlds[target])

    def views(self) -> dict[str, TargetView]:
        known = tuple(thing.known for thing in self.state.resources.values())
        found = {}
        for target in self.worlds:
            provider = self.provider(target)
            seen = provider.observe(Scope("lin", "shop", "default", known))
            inventory = provider.inventory().value
            view = TargetView(target, "memory", {}, provider.kinds, 1, inventory, seen.value, seen.unreadable)
            found[target] = with_places_left(view, self.state.resources.values())
        return found

    def question(self, wishes: Wishes, request: Request | None = None) -> tuple[Question, dict[str, ModelState]]:
        request = request or Request()
        assigned = assign(self.first_placed(wishes), self.state, request)
        views = self.views()
        secrets = {"hf": {"env": "HF"}} if any(wish.secret for wish in wishes.values()) else {}
        question = Question(
            refresh(self.state, views), views, assigned.deployments, assigned.placed_on, (), request,
            secrets=secrets, holds=assigned.holds, infctl_version="0.1",
        )  # fmt: skip
        found = place(question, assigned, self.lower, self.manners, elsewhere=self.elsewhere(wishes, request))
        self.note = " ".join(found.notes)
        return found.question, dict(found.assigned.models)

    def first_placed(self, wishes: Wishes) -> tuple[tuple[str, Deployment], ...]:
        """Return the wishes, each with the target that it is to live on first."""
        return tuple((wish.target, wish.deployment(name)) for name, wish in wishes.items() if wish.replicas)

    def elsewhere(self, wishes: Wishes, request: Request) -> Elsewhere | None:
        """Return where models may live besides: nowhere."""
        del wishes, request
        return None

    def lower(self, want: TargetWant) -> tuple[Desired, ...]:
        return self.provider(want.target).lower(want, Inventory())

    def plan(self, wishes: Wishes, request: Request | None = None) -> Plan:
        return make_plan(*self.question(wishes, request))

    def apply(self, plan: Plan, *, faults: FailingTarget | None = None, death: Death | None = None) -> Outcome | None:
        """Run `plan`; None when the process was killed. What is durable then is the state of the next run."""
        self.fence += 1
        self.touched.clear()
        death = death or Death()
        lease = MortalLease(self.state, death, self.fence)
        providers = {}
        for target in self.worlds:
            provider = self.provider(target, faults or FailingTarget())
            assert isinstance(provider, MortalProvider)
            provider.death, provider.touched = death, self.touched
            providers[target] = provider
        outcome = None
        try:
            outcome = execute(
                plan,
                refresh(self.state, self.views()),
                lease,
                providers,
                secrets=lambda name: Secret(f"value of {name}"),
                digest_key=KEY,
                parallelism=4,
                utc=lambda: NOON,
            )
        except Killed:
            for thread in [t for t in threading.enumerate() if t.name.startswith("apply-")]:
                thread.join(0.05)
        self.state = lease.durable
        return outcome

    def converged(self, wishes: Wishes) -> None:
        """Assert that world, state and wishes are one: nothing missing, nothing twice, nothing left over."""
        live = [thing for world in self.worlds.values() for thing in world.things()]
        addresses = sorted(thing["address"] for thing in live)
        assert addresses == sorted(self.expected(wishes)), "orphans, duplicates or missing objects"
        assert sorted(thing["id"] for thing in live) == sorted(self.state.resources)
        for thing in self.state.resources.values():
            assert (thing.pending, thing.deposed, thing.ready) == ("", False, True), thing
        assert all(thing["running"] for thing in live)
        for name, wish in wishes.items():
            assert self.hashes(name) == ({wish.deployment(name).spec_hash} if wish.replicas else set())
        again = self.plan(wishes)
        assert again.is_empty, (again.steps, again.changes, again.model_states, again.forgotten_models, again.forget)

    def expected(self, wishes: Wishes) -> list[str]:
        return expected(wishes)

    def hashes(self, model: str) -> set[str]:
        """Return the specs that the replicas of `model` run, as state knows them."""
        replicas = (thing for thing in self.state.resources.values() if thing.address.kind == PROCESS)
        return {thing.spec_hash for thing in replicas if thing.model == model}

    def things(self) -> dict[str, str]:
        """Return every object of the world by id, as text."""
        live = (thing for world in self.worlds.values() for thing in world.things())
        return {thing["id"]: json.dumps(thing, sort_keys=True) for thing in live}


def expected(wishes: Wishes) -> list[str]:
    found = []
    for name, wish in wishes.items():
        if wish.replicas:
            found += [f'fake_process.{name}["{wish.target}/{slot}"]' for slot in range(wish.replicas)]
            found.append(f'fake_route.{name}["{wish.target}"]')
    return found + [f"fake_relay.{target}" for target in sorted({w.target for w in wishes.values() if w.replicas})]
