"""Owns taking a live object into state that state does not know: one that was forgotten, or lost.

Pure; finding the object is the caller's.
"""

from __future__ import annotations

from dataclasses import replace

from infctl.address import Address
from infctl.diagnostics import Code, InfctlError, error
from infctl.provider.values import Observed, Values
from infctl.state.model import Resource, State
from infctl.state.recover import from_labels, models_of

BAD_IMPORT = Code(
    "bad-import",
    "This object cannot stand at this address.",
    "Import it at an address of its own kind and target that is free; `infctl state mv` renames it afterwards.",
)


def adopt(state: State, seen: Observed, address: Address, reach: Values) -> State:
    """Return `state` with `seen` at `address`, its model remembered where it was not. `reach` is its target's.

    Raises InfctlError (bad-import).
    """
    if address.kind != seen.address.kind:
        raise _bad(seen, address, f"it is of kind {seen.address.kind}")
    if (address.target, bool(address.key)) != (seen.address.target, bool(seen.address.key)):
        raise _bad(seen, address, f"it is {seen.address}")
    if any(thing.address == address and not thing.deposed for thing in state.resources.values()):
        raise _bad(seen, address, "state has another object there")
    thing = _as_resource(seen, address, reach)
    released = tuple(ident for ident in state.released if ident != thing.id)
    adopted = replace(state.put(thing), released=released)
    if not thing.model:
        return adopted
    known = state.models.get(thing.model)
    if known is None:
        return replace(adopted, models=models_of({thing.id: thing}, state.models))
    return adopted.put_model(replace(known, next_revision=max(known.next_revision, thing.revision + 1)))


def _as_resource(seen: Observed, address: Address, reach: Values) -> Resource:
    if seen.labels is None:  # it cannot say what it is: its id is all that is known until its next replacement
        model = address.name if address.key else ""
        return Resource(
            address, seen.id, seen.name, seen.target, model, values=seen.values, outputs=seen.outputs, reach=reach
        )
    thing = from_labels(seen, seen.labels, reach)
    renamed = thing.model == seen.address.name
    return replace(thing, address=address, model=address.name if renamed else thing.model)


def _bad(seen: Observed, address: Address, why: str) -> InfctlError:
    return InfctlError(
        error(
            BAD_IMPORT,
            f"{seen.name} cannot be imported as {address}",
            why,
            hint=BAD_IMPORT.remedy,
            address=str(address),
        )
    )
