"""Owns what a reading of the world means for memory: fresher outputs, and the plan that only refreshes state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infctl.address import Address
from infctl.plan.compare import World
from infctl.plan.diff import resolve
from infctl.plan.model import Mode, Plan, TargetRef
from infctl.plan.request import Question, TargetView
from infctl.plan.statements import drifted
from infctl.provider.values import Do
from infctl.state.model import Resource, State


def refresh(state: State, views: Mapping[str, TargetView]) -> State:
    """Return `state` with the outputs (pid, port, url) that the world tells now."""
    live = {seen.id: seen for view in views.values() for seen in view.observed}
    changed = {
        ident: replace(thing, outputs=live[ident].outputs)
        for ident, thing in state.resources.items()
        if ident in live and live[ident].outputs != thing.outputs
    }
    return replace(state, resources={**state.resources, **changed}) if changed else state


def reinstate(question: Question) -> tuple[Question, tuple[Resource, ...]]:
    """Return the question with predecessors back in place, and the resources that state must say differently.

    A replacement that was cut short may leave the old object beside the new one; when the wish has gone back to
    what the old one runs, or the new one never came to be, it is current again, and the other is what is left over.
    Of several the one that is wanted comes back, else one that was ready.
    """
    deposed = [thing for thing in question.state.resources.values() if thing.deposed and not thing.lost]
    if not deposed:
        return question, ()
    live = {seen.id for view in question.views.values() for seen in view.observed}
    wanted = {want.address: want.spec_hash for want in question.desired if want.spec_hash}
    current = {thing.address: thing for thing in question.state.resources.values() if not thing.deposed}
    candidates: dict[Address, list[Resource]] = {}
    for thing in deposed:
        asked, now = wanted.get(thing.address), current.get(thing.address)
        gone = now is None or (now.id not in live and _reads(question, now))
        never_came = gone and (now is None or now.pending == Do.CREATE)
        again = asked == thing.spec_hash and (gone or now is None or now.spec_hash != thing.spec_hash)
        if thing.id in live and asked is not None and (again or never_came):
            candidates.setdefault(thing.address, []).append(thing)
    back = [
        max(group, key=lambda thing: (thing.spec_hash == wanted[thing.address], thing.ready, thing.revision))
        for group in candidates.values()
    ]
    changed = [replace(thing, deposed=False) for thing in back]
    changed += (replace(current[thing.address], deposed=True) for thing in back if thing.address in current)
    resources = {**question.state.resources, **{thing.id: thing for thing in changed}}
    return replace(question, state=replace(question.state, resources=resources)), tuple(changed)


def _reads(question: Question, thing: Resource) -> bool:
    view = question.views[thing.target]
    return view.reads(view.place_of(thing.address, thing.values))


def refresh_only(question: Question) -> Plan:
    """Return a plan that touches nothing in the world and makes state say what the world is."""
    world = World(question)
    state = question.state
    gone, accepted = [], []
    for ident, thing in state.resources.items():
        seen = world.live.get(ident)
        if seen is None:
            if world.reads(thing):
                gone.append(ident)
        elif seen.values != resolve(thing.values, world.outputs, world.ids):
            accepted.append(replace(thing, values=seen.values, outputs=seen.outputs))
    drift = drifted(state, world)
    moved = {found.address for found in drift}
    return Plan(
        lineage=state.lineage,
        serial=state.serial,
        stack=state.stack,
        workspace=state.workspace,
        infctl_version=question.infctl_version,
        mode=Mode.REFRESH_ONLY,
        targets=tuple(TargetRef(v.name, v.type, v.config) for _, v in sorted(question.views.items())),
        drift=drift,
        forget=tuple(gone),
        refreshed=tuple(thing for thing in accepted if thing.address in moved),
        unreachable=tuple(u for _, v in sorted(question.views.items()) for u in v.unreadable),
        warnings=question.warnings,
        outputs=state.outputs,
        secrets=question.secrets,
    )
