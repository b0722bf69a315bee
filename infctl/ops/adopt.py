"""Owns taking an object back into state (`infctl import`): looking for it on its target, remembering it.

The world is not touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from infctl.address import Address
from infctl.diagnostics import Code, InfctlError, did_you_mean, error
from infctl.frozen import dataclass
from infctl.ops.reading import observe
from infctl.ops.recover import with_outputs
from infctl.ops.session import Session
from infctl.plan.refusals import UNREACHABLE
from infctl.provider.values import Known, Observed, Scope
from infctl.state.adopt import adopt
from infctl.state.model import Resource, State
from infctl.state.problems import STATE_LOST
from infctl.state.store import Waiting

NO_SUCH_OBJECT = Code(
    "no-such-object",
    "`infctl import` names an object that is not running there, or that state has already.",
    "Import one of those that the message lists; `infctl state list` prints what state has.",
)
_MOST_SHOWN = 20
_MOVE = "infctl state mv finds it at another address"


@dataclass(frozen=True, slots=True)
class Adopted:
    """The object as state has it from now on, and the state's serial."""

    thing: Resource
    serial: int


def import_object(
    session: Session, address: Address, ident: str, *, timeout: float = 0.0, waiting: Waiting | None = None
) -> Adopted:
    """Remember the live object that `ident` names (its id, or its native name) at `address`.

    Where nothing is remembered yet a stranger's object is the first. Raises InfctlError (unknown-target, unreachable,
    no-such-object, bad-import, state-lost).
    """
    with session.lock("import", timeout=timeout, waiting=waiting) as lease:
        state = session.state()
        session.open_providers(state)
        named = (address.target, address.name)  # KIND.MODEL["TARGET/SLOT"], or KIND.TARGET["PLACE"]
        target = next((name for name in named if name in session.providers), address.target or address.name)
        require_target(target, session.providers)
        seen = _find(session, state, address, target, ident)
        if seen.labels is not None and not state.resources and not state.released:
            what = f"Nothing is remembered, but infctl made {seen.name}"
            raise InfctlError(error(STATE_LOST, what, f"it runs on {target}", hint=STATE_LOST.remedy))
        reach = session.reaches[target]
        after = adopt(state, seen, address, {"type": reach.type, "config": reach.config})
        stored = with_outputs(replace(after, serial=state.serial + 1), session)
        lease.commit(stored)
    return Adopted(stored.resources[seen.id], stored.serial)


def require_target(name: str, known: Iterable[str]) -> None:
    """Raise InfctlError (unknown-target) unless `name` is one of `known`."""
    from infctl.spec.rules import UNKNOWN_TARGET

    names = tuple(known)
    if name not in names:
        hint = did_you_mean(name, names) or f"targets: {', '.join(names)}"
        raise InfctlError(error(UNKNOWN_TARGET, f"There is no target {name}", hint=hint))


def _find(session: Session, state: State, address: Address, target: str, ident: str) -> Observed:
    """Return the one object on `target` that `ident` names and state does not have."""
    lineage = state.lineage if state.resources else ""  # a state of nothing may be a lost one: see all that is
    scope = Scope(lineage, state.stack, state.workspace, (Known(address, ident, ident, {}),))
    reading = observe(session.providers[target], target, scope)
    strangers = [seen for seen in reading.value if seen.id not in state.resources]
    named = [seen for seen in strangers if ident in {seen.id, seen.name}]
    if len(named) == 1:
        return named[0]
    if not named and reading.unreadable:
        raise InfctlError(
            *(error(UNREACHABLE, f"{place.place} could not be read", place.reason, hint=place.hint)
              for place in reading.unreadable)
        )  # fmt: skip
    known = next((thing for thing in state.resources.values() if ident in {thing.id, thing.name}), None)
    if known is not None and not named:
        raise InfctlError(error(NO_SUCH_OBJECT, f"{ident} is in state already", f"as {known.address}", hint=_MOVE))
    raise _not_found(target, ident, named or strangers, ambiguous=bool(named))


def _not_found(target: str, ident: str, choices: list[Observed], *, ambiguous: bool) -> InfctlError:
    lines = [f"infctl import '{seen.address}' {seen.id}   ({seen.name})" for seen in choices[:_MOST_SHOWN]]
    if len(choices) > _MOST_SHOWN:
        lines.append(f"and {len(choices) - _MOST_SHOWN} more")
    what = (
        f"Several objects on {target} are called {ident}" if ambiguous else f"No object {ident} to import on {target}"
    )
    detail = "what can be imported:\n" + "\n".join(lines) if lines else "state has everything there that infctl made"
    return InfctlError(error(NO_SUCH_OBJECT, what, detail, hint=NO_SUCH_OBJECT.remedy))
