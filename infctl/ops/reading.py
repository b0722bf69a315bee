"""Owns looking at every target at once: inventory and live objects, in threads, each target told of as it answers.

Knows nothing of what is done with what is seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from infctl.frozen import dataclass
from infctl.plan.diff import resolve
from infctl.plan.evacuate import with_places_left
from infctl.plan.request import TargetView
from infctl.provider.errors import ProviderError
from infctl.provider.protocol import unheard
from infctl.provider.values import Inventory, Known, Labels, Observed, Reading, Scope, Unreadable

if TYPE_CHECKING:
    from infctl.ops.session import Session
    from infctl.provider.protocol import Provider
    from infctl.state.model import State


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadingStarted:
    """A target is being asked. `type` is the provider's."""

    target: str
    type: str


@dataclass(frozen=True, slots=True)
class ReadingDone:
    """A target answered. Memory in bytes; `objects` is how many of this stack's live there."""

    target: str
    type: str
    places: tuple[str, ...]
    devices: int
    memory_free: int
    memory_total: int
    objects: int
    unreadable: tuple[Unreadable, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Looking:
    """How far the look at one of a target's places is: "connect", "read", or "" when it is over."""

    target: str
    place: str
    phase: str


@dataclass(frozen=True, slots=True)
class Placing:
    """Replicas are being placed: of so many so many, in one of several rounds."""

    done: int
    total: int


Heard = ReadingStarted | ReadingDone | Looking | Placing
Hear = Callable[[Heard], None]


class Readings:
    """Readings under way, one thread per target; `finish` waits for them. `hear` is called from any thread."""

    def __init__(self, session: Session, state: State, hear: Hear, *, look: bool = True) -> None:
        self._session, self._state, self._hear = session, state, hear
        self._views: dict[str, TargetView] | None = None
        self._inbox: SimpleQueue[tuple[str, TargetView | BaseException, float]] = SimpleQueue()
        self._waiting = tuple(session.providers)
        session.looking = lambda target, place, phase: hear(Looking(target, place, phase))
        known: dict[str, list[Known]] = {name: [] for name in self._waiting}
        for thing in state.resources.values():
            known[thing.target].append(thing.known)
        for name in self._waiting:
            hear(ReadingStarted(name, session.reaches[name].type))
            lineage = state.lineage if state.resources else ""  # a state of nothing may be a lost one: see all that is
            scope = Scope(lineage, state.stack, state.workspace, tuple(known[name]))
            Thread(target=self._read, args=(name, scope, look), daemon=True).start()

    def _read(self, name: str, scope: Scope, look: bool) -> None:
        begun = time.monotonic()
        found: TargetView | BaseException
        try:
            found = self._look(name, scope, look=look)
        except Exception as failure:  # noqa: BLE001  # told to the thread that waits, which raises it
            found = failure
        self._inbox.put((name, found, time.monotonic() - begun))

    def _look(self, name: str, scope: Scope, *, look: bool) -> TargetView:
        provider, reach = self._session.providers[name], self._session.reaches[name]
        have = read(provider.inventory, name, Inventory())
        nothing: tuple[Observed, ...] = ()
        seen = read(lambda: provider.observe(scope), name, nothing) if look else Reading(_remembered(self._state, name))
        unreadable = tuple({place.place: place for place in (*have.unreadable, *seen.unreadable)}.values())
        view = TargetView(
            name, reach.type, reach.config, provider.kinds, provider.lowering, self._priced(have.value), seen.value,
            unreadable,
        )  # fmt: skip
        return with_places_left(view, self._state.resources.values())

    def _priced(self, have: Inventory) -> Inventory:
        if not any(place.instance for place in have.places):  # of hosts that nobody rents out
            return have
        from infctl.catalog.files import find_own  # the catalogue is read where it is asked
        from infctl.catalog.pricing import with_prices

        return with_prices(have, find_own(self._session.root))

    def finish(self) -> Mapping[str, TargetView]:
        """Return what each target has, in the targets' order. Raises what a provider should not have raised."""
        if self._views is not None:
            return self._views
        views: dict[str, TargetView] = {}
        while len(views) < len(self._waiting):
            name, found, seconds = self._inbox.get()
            if isinstance(found, BaseException):
                raise found
            views[name] = found
            self._hear(_done(found, seconds))
        self._session.looking = unheard
        self._views = {name: views[name] for name in self._waiting}
        return self._views


def read(ask: Callable[[], Reading[T]], place: str, nothing: T) -> Reading[T]:
    """Return what `ask` reads; a provider's error is a place that cannot be read."""
    try:
        return ask()
    except ProviderError as failure:
        told = failure.diagnostics[0]
        return Reading(nothing, (Unreadable(place, told.detail or told.summary, told.hint),))


def observe(provider: Provider, target: str, scope: Scope) -> Reading[tuple[Observed, ...]]:
    """Return what is live on `target`; a provider's error is a target that cannot be read."""
    nothing: tuple[Observed, ...] = ()
    return read(lambda: provider.observe(scope), target, nothing)


def _remembered(state: State, target: str) -> tuple[Observed, ...]:
    """Return the objects as state remembers them: what -refresh=false plans with."""
    outputs = {ident: thing.outputs for ident, thing in state.resources.items()}
    ids = {thing.address: ident for ident, thing in state.resources.items() if not thing.deposed}
    return tuple(
        Observed(
            thing.address, thing.id, thing.name, target, resolve(thing.values, outputs, ids), thing.outputs,
            Labels(
                thing.id, state.lineage, state.stack, state.workspace, str(thing.address), thing.model,
                thing.revision, thing.spec_hash, thing.fence,
            ),
        )
        for thing in state.resources.values()
        if thing.target == target
    )  # fmt: skip


def _done(view: TargetView, seconds: float) -> ReadingDone:
    places = view.inventory.places
    return ReadingDone(
        view.name,
        view.type,
        tuple(place.name for place in places),
        sum(len(place.devices) for place in places),
        sum(place.memory_free for place in places),
        sum(place.memory_total for place in places),
        len(view.observed),
        view.unreadable,
        seconds,
    )
