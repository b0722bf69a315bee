"""Owns a place to run that costs no time: pretend processes, routes and a relay.

The zero-latency provider of the benchmarks, and the world of the tests. A replica answers at once, unless its
engine arguments say otherwise: `answers: never`, `answers: mute` (never, and its log must be asked for),
`answers: dies`, or `answers: N` (from the N-th probe on).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from infctl.address import Address, parse_address
from infctl.provider.errors import ProviderError
from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl.provider.protocol import Context
from infctl.provider.values import (
    Change,
    Deployment,
    Desired,
    Do,
    Emit,
    Health,
    Inventory,
    Labels,
    Observed,
    Place,
    Progress,
    Reading,
    Ref,
    Scope,
    TargetWant,
    Unreadable,
    Values,
    decode,
    encode,
    template_values,
)
from infctl.secrets import Secret
from tests.fakes.world import Thing, World

PROCESS, RELAY, ROUTE = "fake_process", "fake_relay", "fake_route"
GIB = 1024**3
_READ_AT_START = FieldSpec("read once, at the start")
KINDS: Mapping[str, KindSpec] = {
    PROCESS: KindSpec(
        Role.REPLICA,
        {
            "revision": FieldSpec("a revision is never changed"),
            "template": _READ_AT_START,
            "memory": FieldSpec(),
            "tags": FieldSpec(),
        },
        outputs=("url",),
        gated=True,
    ),
    RELAY: KindSpec(Role.SUPPORT, {}, outputs=("control",)),
    ROUTE: KindSpec(
        Role.ROUTER,
        {name: FieldSpec() for name in ("port", "bind", "names", "backends", "relay")},
        outputs=("url", "port"),
        backends="backends",
        url_output="url",
        url_fields=("bind", "port"),
    ),
}


class MemoryTarget(BaseModel):
    """`places` share `memory` bytes each. `volatile` keeps nothing on disk: the world ends with the process.
    `answers` is for replicas whose engine arguments do not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    places: tuple[str, ...] = ("here",)
    memory: int = 1024 * GIB
    volatile: bool = False
    answers: str | int = 0


class MemoryProvider:
    config: ClassVar[type[BaseModel]] = MemoryTarget
    kinds: ClassVar[Mapping[str, KindSpec]] = KINDS
    serves: ClassVar[frozenset[str]] = frozenset({"expose.port", "expose.bind", "served_names", "tags"})
    lowering: ClassVar[int] = 1

    def __init__(self, config: BaseModel, context: Context, world: World | None = None) -> None:
        assert isinstance(config, MemoryTarget)
        self.settings = config
        self.context = context
        log = None if config.volatile else context.data / f"world-{context.target}.jsonl"
        self.world = world or World(log)
        self.probed: dict[str, int] = {}

    def inventory(self) -> Reading[Inventory]:
        used = dict.fromkeys(self.settings.places, 0)
        for thing in self.world.things():
            if thing["running"] and thing["place"] in used:
                used[thing["place"]] += thing["values"].get("memory", 0)
        up = (name for name in self.settings.places if name not in self.world.down)
        memory = self.settings.memory
        return Reading(Inventory(tuple(Place(name, 8, memory, memory - used[name]) for name in up)), self._unreadable())

    def _unreadable(self) -> tuple[Unreadable, ...]:
        down = self.world.down.intersection(self.settings.places)
        return tuple(Unreadable(name, "switched off", "switch it on") for name in sorted(down))

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have
        if not want.deployments:
            return ()
        relay = Desired(Address(RELAY, want.target), want.target, {})
        return (relay, *(made for wish in want.deployments for made in _lower_model(wish, want.target)))

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        known = {thing.id for thing in scope.known}
        mine = (
            thing
            for thing in self.world.things()
            if thing["place"] not in self.world.down
            and (thing["id"] in known or scope.covers(Labels(**thing["labels"]) if thing["labels"] else None))
        )
        return Reading(tuple(self._seen(thing) for thing in mine), self._unreadable())

    def _seen(self, thing: Thing) -> Observed:
        return Observed(
            address=parse_address(thing["address"]),
            id=thing["id"],
            name=thing["name"],
            target=self.context.target,
            values=decode(thing["values"]),
            outputs=decode(thing["outputs"]),
            labels=Labels(**thing["labels"]) if thing["labels"] else None,
            running=thing["running"],
            place=thing["place"],
        )

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        thing = self.world.get(change.id)
        place = thing["place"] if thing else self._place(change)
        if place in self.world.down:
            raise ProviderError(f"{place} is switched off", address=str(change.address))
        if change.do is Do.DELETE:
            if thing:
                self.world.drop(change.id)
            return None
        if change.do is not Do.CREATE and thing is None:
            raise ProviderError(f"{change.name} is not there", address=str(change.address))
        emit(Progress(str(change.do)))
        if change.do is Do.CREATE:
            self._refuse_twins(change)
            self._refuse_too_much(change)
        thing = self._made(change, thing)
        self.world.put(thing)
        return self._seen(thing)

    def _place(self, change: Change) -> str:
        address, places = change.address, self.settings.places
        return places[address.slot % len(places)] if address.kind == PROCESS else places[0]

    def _refuse_twins(self, change: Change) -> None:
        if any(thing["name"] == change.name and thing["id"] != change.id for thing in self.world.things()):
            raise ProviderError(f"the name {change.name} is taken", address=str(change.address))

    def _refuse_too_much(self, change: Change) -> None:
        place, asked = self._place(change), (change.after or {}).get("memory", 0)
        others = (thing for thing in self.world.things() if thing["id"] != change.id)
        used = sum(t["values"].get("memory", 0) for t in others if t["running"] and t["place"] == place)
        if asked and used + asked > self.settings.memory:
            raise ProviderError(f"{place} has no memory left", f"{used} bytes used", address=str(change.address))

    def _made(self, change: Change, old: Thing | None) -> Thing:
        thing: Thing = dict(old or {})
        if change.after is not None:
            thing |= {"values": encode(_without_secrets(change.after)), "outputs": self._outputs(change, old)}
        return thing | {
            "address": str(change.address),
            "id": change.id,
            "name": change.name,
            "labels": asdict(change.labels),
            "running": bool(old and old["running"]) if change.do is Do.DRAIN else change.do is not Do.STOP,
            "place": old["place"] if old else self._place(change),
        }

    def _outputs(self, change: Change, old: Thing | None) -> Thing:
        if change.address.kind == PROCESS:
            return {"url": f"memory://{change.id}"}
        if change.address.kind == RELAY:
            return {"control": f"memory://relay/{change.target}"}
        values = change.after or {}
        before = change.before.outputs if change.before else {}
        port = values["port"] or (old or {}).get("outputs", before).get("port") or 20_000 + len(self.world.things())
        return {"url": f"http://{values['bind']}:{port}/v1", "port": port}

    def probe(self, what: Observed) -> Health:
        thing = self.world.get(what.id)
        if thing is None or not thing["running"]:
            return Health(ready=False, detail="it is gone", dead=True, log=("it was here a moment ago",))
        answers = thing["values"].get("template", {}).get("args", {}).get("answers", self.settings.answers)
        if answers == "dies":
            return Health(ready=False, detail="it ended", dead=True, log=("loading", "out of memory"))
        if answers == "mute":
            return Health(ready=False, detail="nothing listens there yet")
        count = self.probed[what.id] = self.probed.get(what.id, 0) + 1
        if answers == "never" or count < int(answers):
            return Health(ready=False, detail="loading", log=("loading", "still loading"))
        return Health(ready=True)

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        del follow
        yield from (f"{what.name} line {number}" for number in range(tail if what.running else 0))

    def close(self) -> None:
        """Nothing is held open."""


def _lower_model(wish: Deployment, target: str) -> Iterator[Desired]:
    template = template_values(wish.template)
    memory = template.pop("memory")
    values: Values = {"revision": wish.revision, "template": template, "memory": memory, "tags": wish.tags}
    backends = []
    for slot in wish.slots:
        address = Address(PROCESS, wish.model, f"{target}/{slot}")
        backends.append(Ref(address, "url"))
        yield Desired(address, target, values, wish.model, wish.revision, wish.spec_hash)
    route = {
        "port": wish.port,
        "bind": wish.bind,
        "names": wish.served_names,
        "backends": tuple(backends),
        "relay": Ref(Address(RELAY, target), "control"),
    }
    yield Desired(Address(ROUTE, wish.model, target), target, route, wish.model, wish.revision)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, Secret):
        assert value.ref is not None
        return value.ref
    if isinstance(value, Mapping):
        return {key: _without_secrets(item) for key, item in value.items()}
    return tuple(_without_secrets(item) for item in value) if isinstance(value, (list, tuple)) else value
