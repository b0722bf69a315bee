"""Owns the local target: real engines as supervised background processes on this machine.

Ties the parts together and keeps none of them; cheap to import, since every plan of a local stack does it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from infctl.address import parse_address
from infctl.provider.form import form
from infctl.provider.kinds import KindSpec
from infctl.provider.protocol import Context, Finding
from infctl.provider.values import (
    Change,
    Desired,
    Do,
    Emit,
    Health,
    Inventory,
    Observed,
    Reading,
    Scope,
    TargetWant,
    Unreadable,
    Values,
)
from infctl_local import process, routing
from infctl_local.errors import in_words, wanted_values
from infctl_local.health import probe_replica
from infctl_local.kinds import KINDS, LOWERING, PROCESS, RELAY, ROUTE
from infctl_local.lower import lower
from infctl_local.objects import Found, Objects, run_in
from infctl_local.replicas import run_replica, stop_replica

if TYPE_CHECKING:
    from pydantic import BaseModel

    from infctl_local.ports import Range

PLACE = "this-machine"


class LocalProvider:
    """The six methods for this machine, with logs and check."""

    config: ClassVar[type[BaseModel]] = form("infctl_local.config", "LocalTarget")
    kinds: ClassVar[Mapping[str, KindSpec]] = KINDS
    serves: ClassVar[frozenset[str]] = frozenset({"expose.port", "expose.bind", "served_names", "tags"})
    lowering: ClassVar[int] = LOWERING

    def __init__(self, config: BaseModel | Values, context: Context) -> None:
        checked = config if isinstance(config, Mapping) else config.model_dump(mode="json")
        first, last = checked["ports"]
        self._ports: Range = (first, last)
        self._memory: int | None = checked["memory"]
        self._context = context
        self._objects = Objects(context.data.absolute())

    def inventory(self) -> Reading[Inventory]:
        from infctl_local.machine import Promise, read_machine  # noqa: PLC0415  -- psutil costs more than a plan may

        found, _ = self._objects.scan()  # what cannot be read there, observe names
        promises = []
        for one in found:
            run = run_in(one.path)
            if run.running and run.status:
                child = run.status.child
                promises.append(Promise(one.record.values.get("memory", 0), child.pid if child else None))
        return Reading(Inventory((read_machine(PLACE, self._memory, promises),)))

    def lower(self, want: TargetWant, have: Inventory) -> tuple[Desired, ...]:
        del have  # one process per slot, whatever there is
        return lower(want)

    def observe(self, scope: Scope) -> Reading[tuple[Observed, ...]]:
        found, broken = self._objects.scan()
        known = {thing.id for thing in scope.known}
        ours = [one for one in found if self._is_ours(one, scope, known)]
        seen, unreadable = [], list(broken)
        listening = cache(routing.listening)
        for one in ours:
            run = run_in(one.path)
            if run.problem:
                unreadable.append(Unreadable(str(run.path), run.problem, f"if nothing runs there, remove {run.path}"))
            else:
                seen.append(self._observed(one, listening))
        return Reading(tuple(seen), tuple(unreadable))

    def apply(self, change: Change, emit: Emit) -> Observed | None:
        with in_words(change):
            if change.do is Do.DRAIN:
                return self._drain(change, emit)
            with self._objects.alone(change.id):
                if change.do in {Do.STOP, Do.DELETE}:
                    return self._take_down(change)
                return self._observed(self._make(change, wanted_values(change)))

    def probe(self, what: Observed) -> Health:
        return probe_replica(self._objects.find(what.name, what.id), what)

    def logs(self, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
        """Yield a replica's lines; of one that was removed, from the log that was kept of its revision."""
        found = self._objects.find(what.name, what.id)
        if found is None:
            kept = self._objects.kept_log(what.labels) if what.labels else None
            return iter(process.tail(kept, tail) if kept else ())
        path = found.path
        if follow:
            return process.follow(path / process.LOG, tail, lambda: run_in(path).running)
        return iter(process.tail(path / process.LOG, tail))

    def check(self) -> tuple[Finding, ...]:
        from infctl_local.machine import check_machine  # noqa: PLC0415  -- as in inventory

        free = sum(place.memory_free for place in self.inventory().value.places)
        return check_machine(self._context.data, self._ports, free)

    def close(self) -> None:
        """Nothing is held open: what runs here outlives the command line."""

    def _make(self, change: Change, after: Values) -> Found:
        if change.address.kind == PROCESS:
            return run_replica(self._objects, self._ports, self._context.root.absolute(), change, after)
        if change.address.kind == RELAY:
            return routing.run_relay(self._objects, change, after)
        return routing.put_route(self._objects, self._ports, change, after)

    def _drain(self, change: Change, emit: Emit) -> Observed | None:
        found = self._objects.find(change.name, change.id)
        if found is None:
            return None
        if change.address.kind == PROCESS:
            routing.drain(self._objects, found, change.timeout, emit)
        return self._observed(found)

    def _take_down(self, change: Change) -> Observed | None:
        found = self._objects.find(change.name, change.id)
        if found is None:
            return None
        if change.address.kind == ROUTE:
            routing.drop_route(self._objects, found)
        else:
            stop_replica(found)
        if change.do is Do.STOP:
            return self._observed(found)
        if change.address.kind == RELAY:
            routing.forget_relay_socket(found)
        self._objects.remove(found)
        return None

    def _is_ours(self, found: Found, scope: Scope, known: Collection[str]) -> bool:
        labels = found.record.labels
        return found.record.target == self._context.target and (labels.id in known or scope.covers(labels))

    def _observed(self, found: Found, listening: Callable[[Path], frozenset[str]] = routing.listening) -> Observed:
        record = found.record
        labels = record.labels
        relay = record.values.get("relay")
        running = (
            routing.route_key(found) in listening(self._objects.live / relay) if relay else run_in(found.path).running
        )
        return Observed(
            parse_address(labels.address), labels.id, record.name, record.target, record.values, record.outputs,
            labels, running, PLACE,
        )  # fmt: skip
