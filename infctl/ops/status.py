"""Owns what is true of each model now: its revision, who answers, where. Asks the world, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from infctl.diagnostics import InfctlError
from infctl.frozen import dataclass
from infctl.ops.reading import Hear, Readings
from infctl.plan.promised import replicas_of
from infctl.provider.errors import ProviderError
from infctl.provider.kinds import Role
from infctl.provider.values import Health, Observed, Unreadable
from infctl.state.model import Failure, Hold

if TYPE_CHECKING:
    from infctl.ops.session import Session
    from infctl.plan.request import TargetView
    from infctl.state.model import Resource, State

PROBES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica: where it is, which revision it runs, and whether it answered just now."""

    address: str
    target: str
    place: str
    revision: int
    state: str  # "ready" | "not ready" | "stopped" | "gone" | "unknown"
    detail: str = ""
    count: int = 1  # the replicas that it stands for


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model. `desired` is how many replicas state says there should be; `owner` from the file, where it says."""

    name: str
    revision: int
    desired: int
    replicas: tuple[Replica, ...]
    url: str = ""
    engine: str = ""
    owner: str = ""
    hold: Hold | None = None
    failure: Failure | None = None  # the last, while it is about what is asked for now

    @property
    def ready(self) -> int:
        return sum(
            replica.count for replica in self.replicas if replica.state == "ready" and replica.revision == self.revision
        )


@dataclass(frozen=True, slots=True)
class Status:
    stack: str
    workspace: str
    serial: int
    models: tuple[ModelStatus, ...]
    unreadable: tuple[Unreadable, ...] = ()


def status_of(session: Session, hear: Hear = lambda _event: None) -> Status:
    """Return the status of every model in state. Raises InfctlError (no-state)."""
    state = session.known_state()
    session.open_providers(state)
    views = Readings(session, state, hear).finish()
    live = {seen.id: seen for view in views.values() for seen in view.observed}
    things = [
        thing
        for thing in state.resources.values()
        if views[thing.target].kinds[thing.address.kind].role is Role.REPLICA
    ]
    healths = _probe_all(session, [live[thing.id] for thing in things if thing.id in live and live[thing.id].running])
    replicas: dict[str, list[Replica]] = {}
    desired: dict[str, int] = {}
    for thing in things:
        count = replicas_of(views[thing.target].kinds[thing.address.kind], thing.values)
        desired[thing.model] = desired.get(thing.model, 0) + (0 if thing.deposed else count)
        replicas.setdefault(thing.model, []).append(_replica(thing, live.get(thing.id), healths, views[thing.target]))
    failures = _failures(session, state)
    models = tuple(
        _model(name, state, replicas.get(name, []), desired.get(name, 0), session, failure=failures.get(name))
        for name in sorted(state.models)
    )
    unreadable = tuple(place for view in views.values() for place in view.unreadable)
    return Status(state.stack, state.workspace, state.serial, models, unreadable)


def _failures(session: Session, state: State) -> dict[str, Failure]:
    """Return the last failure of each model, as long as what failed is asked for, or nothing else serves.

    Where the file cannot be read nobody knows what it asks for: then all are told.
    """
    failures = {name: model.failure for name, model in state.models.items() if model.failure is not None}
    if not failures or session.stack is None:
        return failures
    from infctl.ops.asked import asked_specs

    try:
        asked = asked_specs(session.stack, state)
    except InfctlError:
        return failures
    return {
        name: failure
        for name, failure in failures.items()
        if not state.models[name].revision or asked.get(name) == failure.spec_hash
    }


def _model(
    name: str, state: State, replicas: list[Replica], desired: int, session: Session, *, failure: Failure | None
) -> ModelStatus:
    known = state.models[name]
    file = session.stack.models.get(name) if session.stack is not None else None
    return ModelStatus(
        name,
        known.revision,
        desired,
        tuple(sorted(replicas, key=lambda replica: (replica.address, replica.revision))),
        str(state.outputs.get(f"{name}.url", "")),
        str(state.outputs.get(f"{name}.engine", "")),
        (file.owner or "") if file is not None else "",
        known.hold,
        failure,
    )


def _replica(thing: Resource, seen: Observed | None, healths: dict[str, Health], view: TargetView) -> Replica:
    known = view.place_of(thing.address, thing.values)
    place = seen.place if seen is not None else known
    found = "gone" if seen is None else "stopped"
    detail = ""
    if seen is None and not view.reads(known):
        found, detail = (
            "unknown",
            "given up, and removed once it is read" if thing.lost else "its place could not be read",
        )
    elif seen is not None and seen.running:
        health = healths[thing.id]
        found, detail = ("ready" if health.ready else "not ready"), health.detail
    return Replica(
        str(thing.address),
        thing.target,
        place,
        thing.revision,
        found,
        detail,
        replicas_of(view.kinds[thing.address.kind], thing.values),
    )


def _probe_all(session: Session, running: Iterable[Observed]) -> dict[str, Health]:
    """Return what each object answers now, asked side by side."""
    work: SimpleQueue[Observed | None] = SimpleQueue()
    found: dict[str, Health] = {}
    waiting = list(running)
    for seen in waiting:
        work.put(seen)
    threads = [Thread(target=_probe_each, args=(session, work, found), daemon=True)
               for _ in range(min(PROBES_AT_ONCE, len(waiting)))]  # fmt: skip
    for thread in threads:
        work.put(None)
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _probe_each(session: Session, work: SimpleQueue[Observed | None], found: dict[str, Health]) -> None:
    while (seen := work.get()) is not None:
        try:
            found[seen.id] = session.providers[seen.target].probe(seen)
        except ProviderError as failure:
            found[seen.id] = Health(ready=False, detail=failure.diagnostics[0].summary)
