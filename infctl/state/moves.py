"""Owns changes of state that touch nothing in the world: renames, forgetting, taking a state in from outside.

Pure but for `migrate`, which speaks to two stores. Knows no particular store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from infctl.address import Address, selects
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.provider.values import Ref
from infctl.state.model import ModelState, Resource, State
from infctl.state.problems import STATE_CONFLICT
from infctl.state.store import Loaded, Store

NOT_IN_STATE = Code(
    "not-in-state",
    "An address names nothing that state knows.",
    "`infctl state list` prints every address.",
)
BAD_MOVE = Code(
    "bad-move",
    "State cannot be made to say that this object is found there.",
    "Move to an address of the same kind and target that is free; `infctl state list` prints every address.",
)
Relocate = Callable[[Address], Address]


def move(state: State, source: Address, to: Address) -> State:
    """Return `state` with what is at `source` at `to`: an object, all of KIND.NAME, or a whole model.NAME.

    Raises InfctlError (not-in-state, bad-move).
    """
    if "model" in {source.kind, to.kind}:
        if source.kind != to.kind:
            raise _bad_move(source, to, "a model moves to model.NAME only")
        return rename_model(state, source.name, to.name)
    addresses = {thing.address for thing in state.resources.values()}
    wanted = {
        a for a in addresses if a == source or (not source.key and (a.kind, a.name) == (source.kind, source.name))
    }
    if not wanted:
        raise not_in_state(source, state)
    _refuse_bad(source, to, wanted, addresses)
    return _relocate(
        state,
        lambda a: Address(to.kind, to.name, to.key or a.key) if a in wanted else a,
        lambda thing: to.name if thing.model == source.name and thing.address in wanted else thing.model,
    )


def _refuse_bad(source: Address, to: Address, wanted: set[Address], addresses: set[Address]) -> None:
    if to.kind != source.kind:
        raise _bad_move(source, to, f"an object of kind {source.kind} cannot become one of kind {to.kind}")
    if bool(to.key) != bool(source.key):
        raise _bad_move(source, to, 'either both addresses have a ["TARGET/SLOT"] or neither')
    if to.target != source.target:
        raise _bad_move(source, to, f"it runs on {source.target}: moving it to {to.target} takes a plan")
    for address in wanted:
        there = Address(to.kind, to.name, to.key or address.key)
        if there in addresses - wanted or there == address:
            raise _bad_move(source, to, f"{there} is taken")


def _bad_move(source: Address, to: Address, why: str) -> InfctlError:
    return InfctlError(error(BAD_MOVE, f"{source} cannot be moved to {to}", why, hint=BAD_MOVE.remedy))


def not_in_state(address: Address, state: State) -> InfctlError:
    """Return error[not-in-state] about `address`, with the nearest that is."""
    known = {f"model.{name}" for name in state.models} | {str(thing.address) for thing in state.resources.values()}
    hint = did_you_mean(str(address), sorted(known)) or NOT_IN_STATE.remedy
    return InfctlError(error(NOT_IN_STATE, f"State knows nothing at {address}", hint=hint, address=str(address)))


def rename_model(state: State, old: str, new: str) -> State:
    """Return `state` with model `old` called `new`; the old name stays an alias until the next replacement.

    Raises InfctlError (not-in-state, bad-move).
    """
    source, to = Address("model", old), Address("model", new)
    owned = {thing.address for thing in state.resources.values() if thing.model == old}
    if old not in state.models and not owned:
        raise not_in_state(source, state)
    if new in state.models or any(thing.model == new for thing in state.resources.values()):
        raise _bad_move(source, to, f"{to} is there already")
    moved = _relocate(
        state,
        lambda a: a._replace(name=new) if a in owned and a.name == old else a,
        lambda thing: new if thing.model == old else thing.model,
    )
    model = state.models.get(old, ModelState(old))
    aliases = tuple(dict.fromkeys((*(alias for alias in model.aliases if alias != new), old)))
    models = {new if name == old else name: entry for name, entry in state.models.items()}
    models[new] = replace(model, name=new, aliases=aliases)
    prefix = f"{old}."
    outputs = {
        f"{new}.{name.removeprefix(prefix)}" if name.startswith(prefix) else name: value
        for name, value in moved.outputs.items()
    }
    return replace(moved, models=models, outputs=outputs)


def _relocate(state: State, relocate: Relocate, model_of: Callable[[Resource], str]) -> State:
    return replace(
        state,
        resources={
            ident: replace(
                thing,
                address=relocate(thing.address),
                model=model_of(thing),
                values=_relocate_refs(thing.values, relocate),
            )
            for ident, thing in state.resources.items()
        },
        outputs=_relocate_refs(state.outputs, relocate),
    )


def _relocate_refs(value: Any, relocate: Relocate) -> Any:
    if isinstance(value, Ref):
        return replace(value, address=relocate(value.address))
    if isinstance(value, Mapping):
        return {key: _relocate_refs(item, relocate) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_relocate_refs(item, relocate) for item in value)
    return value


def remove(state: State, selectors: Iterable[Address]) -> tuple[State, tuple[Resource, ...]]:
    """Return `state` without what `selectors` cover, and what that was: it goes on running, unknown to infctl.

    A model whose objects all went is forgotten with its revisions. Raises InfctlError (not-in-state) for the first
    selector that covers nothing.
    """
    gone: dict[str, Resource] = {}
    models = dict(state.models)
    for selector in selectors:
        covered = {
            ident: thing
            for ident, thing in state.resources.items()
            if selects(selector, thing.address, model=thing.model, target=thing.target)
        }
        if not covered and (selector.kind != "model" or selector.name not in state.models):
            raise not_in_state(selector, state)
        gone |= covered
        if selector.kind == "model":
            models.pop(selector.name, None)
    left = {ident: thing for ident, thing in state.resources.items() if ident not in gone}
    staying = {thing.model for thing in left.values()}
    for name in {thing.model for thing in gone.values()} - staying:
        models.pop(name, None)
    forgotten = set(state.models) - set(models)
    outputs = {name: value for name, value in state.outputs.items() if name.partition(".")[0] not in forgotten}
    released = tuple(dict.fromkeys((*state.released, *gone)))
    after = replace(state, resources=left, models=models, outputs=outputs, released=released)
    return after, tuple(gone.values())


def push(new: State, loaded: Loaded, *, highest: int = 0, force: bool = False) -> State:
    """Return `new` as it may be committed with force=True over `loaded`: made from it, or overriding on purpose.

    `highest` is the store's highest serial where the stored state cannot be read. Raises InfctlError
    (state-conflict): another lineage or stack, an older serial, or a journal that `new` would wipe out.
    """
    stored = loaded.state
    above = max(highest, stored.serial if stored else -1) + 1
    if stored is not None and not force:
        if (new.lineage, new.stack, new.workspace) != (stored.lineage, stored.stack, stored.workspace):
            raise _conflict(
                f"it is lineage {new.lineage} of {new.stack}/{new.workspace}, "
                f"stored is lineage {stored.lineage} of {stored.stack}/{stored.workspace}"
            )
        if new.serial < stored.serial:
            raise _conflict(f"it is serial {new.serial}, stored is serial {stored.serial}: pull again")
        if loaded.journal:
            raise _conflict("an interrupted run left a journal: run infctl apply first")
    return replace(new, serial=max(new.serial, above))


def migrate(source: Store, destination: Store, who: str, *, timeout: float = 0.0, force: bool = False) -> State:
    """Copy state and digest key from one store to another, both locked, and return what was stored and read back.

    The source keeps its copy. Raises InfctlError (state-conflict) where the destination holds another state, unless
    forced, and not-in-state where there is nothing to copy.
    """
    with (
        source.lock(who, "state migrate", timeout=timeout),
        destination.lock(who, "state migrate", timeout=timeout) as lease,
    ):
        state = source.load().current
        if state is None:
            raise InfctlError(error(NOT_IN_STATE, f"{source.location} holds no state", hint="nothing to migrate"))
        there = destination.load()
        if there.state is not None and there.state.lineage != state.lineage and not force:
            raise _conflict(f"{destination.location} holds another lineage, {there.state.lineage}")
        key = source.digest_key()
        if destination.digest_key(initial=key) != key and not force:
            raise _conflict(f"{destination.location} has another digest key: remove it first")
        moved = push(state, there, force=force)
        lease.commit(moved, force=True)
        stored = destination.load().current
    if stored is None or replace(stored, infctl_version="") != replace(moved, infctl_version=""):
        raise _conflict(f"{destination.location} gave back something else than was written: do not use it")
    return stored


def _conflict(problem: str) -> InfctlError:
    return InfctlError(
        error(
            STATE_CONFLICT,
            "This state cannot replace the stored one",
            problem,
            hint="infctl state pull shows what is stored; -force replaces it on purpose",
        )
    )
