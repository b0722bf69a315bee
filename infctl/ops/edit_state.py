"""Owns what people do to state by hand: list, show, mv, rm, pull, push. The world is not touched.

Returns values, prints nothing. Knows no particular store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from infctl.address import Address, selects
from infctl.diagnostics import InfctlError, error
from infctl.ops.session import NO_STATE
from infctl.state import moves, snapshot
from infctl.state.model import Resource, State
from infctl.state.store import Loaded, Store, Waiting


def current(store: Store) -> State:
    """Return what state says now, its journal included. Raises InfctlError (no-state, state-damaged ...)."""
    state = store.load().current
    if state is None:
        raise InfctlError(error(NO_STATE, f"{store.location} holds no state", hint=NO_STATE.remedy))
    return state


def find(state: State, selectors: Iterable[Address]) -> tuple[Resource, ...]:
    """Return the resources that any selector covers, all without one, sorted by address.

    Raises InfctlError (not-in-state) for a selector that covers nothing.
    """
    wanted = tuple(selectors)
    every = sorted(state.resources.values(), key=lambda thing: (thing.address, thing.deposed, thing.id))
    for selector in wanted:
        if not any(_covers(selector, thing) for thing in every):
            raise moves.not_in_state(selector, state)
    return tuple(thing for thing in every if not wanted or any(_covers(each, thing) for each in wanted))


def _covers(selector: Address, thing: Resource) -> bool:
    return selects(selector, thing.address, model=thing.model, target=thing.target)


def edit(
    store: Store,
    who: str,
    operation: str,
    change: Callable[[State], State],
    *,
    timeout: float = 0.0,
    waiting: Waiting | None = None,
) -> State:
    """Change state under its lock and return it as stored, one serial later. Raises what `change` raises."""
    with store.lock(who, operation, timeout=timeout, waiting=waiting) as lease:
        before = current(store)
        after = change(before)
        stored = replace(after, serial=before.serial + 1)
        lease.commit(stored)
    return stored


def pull(store: Store) -> bytes:
    """Return state as one document, as `push` takes it back."""
    return snapshot.encode(current(store))


def push(
    store: Store,
    who: str,
    text: bytes,
    name: str,
    *,
    force: bool = False,
    timeout: float = 0.0,
    waiting: Waiting | None = None,
) -> State:
    """Store the document `text` (from the file `name`) and return it as stored.

    Raises InfctlError (state-damaged, state-too-new, state-conflict).
    """
    new = snapshot.decode(text, name, edited=True).state
    with store.lock(who, "state push", timeout=timeout, waiting=waiting) as lease:
        if force:  # what is stored may be past reading: that is what -force is for
            salvaged = store.salvage()
            pushed = moves.push(new, Loaded(salvaged.state), highest=salvaged.serial, force=True)
        else:
            pushed = moves.push(new, store.load())
        lease.commit(pushed, force=True)
    return pushed
