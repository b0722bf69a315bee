"""Owns hand-made plans over the memory provider: short to write, real from the executor on down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infctl.address import Address
from infctl.apply.events import Event
from infctl.apply.executor import execute
from infctl.apply.interrupt import Interrupt
from infctl.apply.outcome import Outcome
from infctl.plan.model import Gate, Plan, Step, TargetRef, Undo
from infctl.provider.protocol import Context
from infctl.provider.values import Do, Ref, Values
from infctl.secrets import Secret
from infctl.state.model import ModelState, Revision, State
from tests.fakes.lease import MemoryLease
from tests.fakes.memory import PROCESS, ROUTE, MemoryProvider, MemoryTarget
from tests.fakes.world import World

KEY = b"k" * 32
NOON = "2026-01-01T12:00:00+00:00"
CONTEXT = Context("here", "shop", "default", "lin", Path("/nowhere"), Path("/nowhere"))


def no_secret(name: str) -> Secret:
    raise AssertionError(f"nobody needs {name}")


def process(answers: Any = 0, **env: Any) -> Values:
    return {"revision": 1, "template": {"args": {"answers": answers}, "env": env}, "memory": 1, "tags": {}}


def route(*backends: Ref) -> Values:
    return {"port": 0, "bind": "127.0.0.1", "names": (), "backends": backends, "relay": ""}


def replica_at(model: str, slot: int = 0) -> Address:
    return Address(PROCESS, model, f"here/{slot}")


def url_of(model: str, ident: str, slot: int = 0) -> Ref:
    return Ref(replica_at(model, slot), "url", ident)


def create(
    step: str, model: str, ident: str, *needs: str, slot: int = 0, revision: int = 1, timeout: float = 5.0, **more: Any
) -> Step:
    """Return the making of a replica, with its gate and its undo."""
    values = more.pop("values", None) or process(more.pop("answers", 0))
    return Step(
        step, replica_at(model, slot), "here", model, Do.CREATE, ident, f"shop-{model}-r{revision}-{slot}-{ident}",
        set=values, gate=Gate(timeout), needs=needs, undo=Undo(Do.DELETE, ident), revision=revision,
        spec_hash=f"hash-{revision}", **more,
    )  # fmt: skip


def delete(step: str, model: str, ident: str, *needs: str, slot: int = 0, revive: Values | None = None) -> Step:
    undo = Undo(Do.CREATE, ident, revive) if revive is not None else None
    return Step(step, replica_at(model, slot), "here", model, Do.DELETE, ident, f"old-{ident}", needs=needs, undo=undo)


def switch(step: str, model: str, do: Do, *needs: str, to: Values, back: Values | None = None) -> Step:
    """Return the making (or switching, with `back` to go back to) of a model's route."""
    undo = Undo(Do.DELETE, f"route-{model}") if back is None else Undo(Do.SWITCH, f"route-{model}", back)
    address = Address(ROUTE, model, "here")
    return Step(step, address, "here", model, do, f"route-{model}", f"{model}-route", set=to, needs=needs, undo=undo)


def revised(name: str, revision: int) -> ModelState:
    """Return what a plan says of a model: its times are not known yet."""
    past = tuple(Revision(number, f"hash-{number}", {}) for number in range(1, revision + 1))
    return ModelState(name, revision, revision + 1, past)


@dataclass
class Bench:
    """One world and its state. `run` does hand-made steps; what they leave is the next run's start."""

    provider: MemoryProvider = field(
        default_factory=lambda: MemoryProvider(MemoryTarget(volatile=True), CONTEXT, World())
    )
    state: State = field(default_factory=lambda: State("lin", "shop"))
    lease: MemoryLease = field(init=False)
    events: list[Event] = field(default_factory=list)

    def run(
        self,
        *steps: Step,
        secrets: Callable[[str], Secret] = no_secret,
        parallelism: int = 10,
        interrupt: Interrupt | None = None,
        fails_at: int = 0,
        lose: bool = False,
        hear: Callable[[Event], None] | None = None,
        **plan: Any,
    ) -> Outcome:
        self.lease = MemoryLease(self.state, fails_at=fails_at)
        self.lease.lost = lose
        self.events = []

        def listen(event: Event) -> None:
            self.events.append(event)
            if hear:
                hear(event)

        outcome = execute(
            self.plan(*steps, **plan), self.state, self.lease, {"here": self.provider}, secrets=secrets,
            digest_key=KEY, parallelism=parallelism, emit=listen, interrupt=interrupt, utc=lambda: NOON,
        )  # fmt: skip
        self.state = self.lease.durable
        return outcome

    def plan(self, *steps: Step, **more: Any) -> Plan:
        targets = (TargetRef("here", "memory", {"memory": 5}),)
        return replace(Plan("lin", self.state.serial, "shop", "default", "0.1", targets=targets, steps=steps), **more)

    @property
    def standing(self) -> list[str]:
        return sorted(thing["id"] for thing in self.provider.world.things() if thing["running"])

    @property
    def known(self) -> list[str]:
        return sorted(self.state.resources)

    def said(self, *kinds: type[Event]) -> list[str]:
        return [getattr(event, "step", "") for event in self.events if isinstance(event, kinds)]
