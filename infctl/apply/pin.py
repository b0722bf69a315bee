"""Owns finding out whether a plan still holds: that everything is as it was when the plan was made.

Pure: what there is now is given. Knows nothing of how a plan was stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infctl.diagnostics import Code, Diagnostic, error
from infctl.plan.diff import diff
from infctl.plan.model import Assumption, Plan
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.values import Inventory, Observed, Ref
from infctl.secrets import UNKNOWN
from infctl.state.model import State

PLAN_STALE = Code(
    "plan-stale",
    "Something that the plan saw or took for granted is different now.",
    "Make the plan again and look at it: `infctl plan -out FILE`.",
)
_ANY_KIND = KindSpec(Role.SUPPORT, {})
_GIB = 1024**3


def stale(
    plan: Plan,
    state: State,
    observed: Mapping[str, Observed],
    inventories: Mapping[str, Inventory],
    facts: Mapping[str, Any],
) -> tuple[Diagnostic, ...]:
    """Return an error for each thing that is not as `plan` saw it, each "planned -> now"; empty when it holds.

    `observed` are the live objects by id, `inventories` by target. `facts` says what every other assumption of
    the plan is now, under its own name: `checksum:URI` the digest of the file, `secret:NAME` the keyed digest.
    One that is not there could not be found out, which is stale too; a secret that the plan did not know either
    is not.
    """
    found = [*_stale_state(plan, state)]
    if not found:  # an object can only be compared where both mean the same state
        found += _stale_objects(plan, observed)
    for assumption in plan.assumptions:
        found += _stale_assumption(assumption, inventories, facts)
    return tuple(found)


def _changed(what: str, planned: object, now: object, *, address: str = "") -> Diagnostic:
    return error(
        PLAN_STALE,
        f"The plan is out of date: {what} is not what it was",
        f"{planned} -> {now}",
        hint="make the plan again: infctl plan -out FILE",
        address=address,
    )


def _stale_state(plan: Plan, state: State) -> tuple[Diagnostic, ...]:
    if (plan.stack, plan.workspace) != (state.stack, state.workspace):
        planned, now = f"{plan.stack}/{plan.workspace}", f"{state.stack}/{state.workspace}"
        return (_changed("the stack and workspace", planned, now),)
    if plan.lineage != state.lineage:
        return (_changed("the lineage of the state", plan.lineage, state.lineage),)
    if plan.serial != state.serial:
        return (_changed("the serial of the state", plan.serial, state.serial),)
    return ()


def _stale_objects(plan: Plan, observed: Mapping[str, Observed]) -> tuple[Diagnostic, ...]:
    """Return what differs in the objects that steps touch; a later step on one object sees what we wrote."""
    before = {change.id_before: change.before for change in plan.resource_changes if change.before is not None}
    found = []
    met: set[str] = set()
    for step in plan.steps:
        if step.object in met:
            continue
        met.add(step.object)
        live = observed.get(step.object)
        if (live.fingerprint if live else "") == step.seen:
            continue
        planned, now = _words(before.get(step.object), step.seen, live)
        found.append(_changed(str(step.address), planned, now, address=str(step.address)))
    return tuple(found)


def _words(before: Mapping[str, Any] | None, seen: str, live: Observed | None) -> tuple[str, str]:
    if live is None:
        return "there", "gone"
    if not seen:
        return "not there", f"{live.name} is"
    changes = diff(_ANY_KIND, before or {}, live.values) if before else ()
    shown = [c for c in changes if not isinstance(c.old, Ref) and c.old is not UNKNOWN]
    if not shown:
        return f"fingerprint {seen}", f"{live.fingerprint}{'' if live.running else ', stopped'}"
    fields = [".".join(change.path) for change in shown]
    planned = ", ".join(f"{name} {change.old!r}" for name, change in zip(fields, shown, strict=True))
    return planned, ", ".join(f"{name} {change.new!r}" for name, change in zip(fields, shown, strict=True))


def _stale_assumption(
    assumed: Assumption, inventories: Mapping[str, Inventory], facts: Mapping[str, Any]
) -> tuple[Diagnostic, ...]:
    kind, _, name = assumed.what.partition(":")
    if kind in {"memory", "device"}:
        free = _free(inventories, name)
        if free is None or free >= assumed.needs:
            return ()
        needs = f"{assumed.needs / _GIB:.2f} GiB needed of {assumed.value / _GIB:.2f} GiB free"
        what = f"the free memory of {'GPU ' if kind == 'device' else ''}{name}"
        return (_changed(what, needs, f"{free / _GIB:.2f} GiB free"),)
    if assumed.value == "":  # nobody could tell when the plan was made
        return ()
    now = facts.get(assumed.what)
    if now == assumed.value:
        return ()
    words = {"checksum": f"the file {name}", "secret": f"the secret {name}"}
    return (_changed(words.get(kind, assumed.what), assumed.value, "it cannot be read" if now is None else now),)


def _free(inventories: Mapping[str, Inventory], name: str) -> int | None:
    """Return the bytes free on `name`, a target, TARGET/PLACE or TARGET/PLACE/DEVICE; None where there is no limit."""
    target, _, rest = name.partition("/")
    place, _, device = rest.partition("/")
    have = inventories.get(target, Inventory())
    if not have.places:
        return None
    places = [one for one in have.places if place in {"", one.name}]
    if not device:
        return sum(one.memory_free for one in places)
    return sum(each.memory_free for one in places for each in one.devices if each.uuid == device)
