"""Owns what a reading of the world means for memory: fresher outputs, and the plan that only refreshes state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infctl.plan.compare import World
from infctl.plan.diff import resolve
from infctl.plan.model import Mode, Plan, TargetRef
from infctl.plan.request import Question, TargetView
from infctl.plan.statements import drifted
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
    """
    deposed = [thing for thing in question.state.resources.values() if thing.deposed and not thing.lost]
    if not deposed:
        return question, ()
    live = {seen.id for view in question.views.values() for seen in view.observed}
    wanted = {want.address: want.spec_hash for want in question.desired if want.spec_hash}
    current = {thing.address: thing for thing in question.state.resources.values() if not thing.deposed}
    back = [
        thing
        for thing in {t.address: t for t in deposed if t.id in live and wanted.get(t.address) == t.spec_hash}.values()
        if (now := current.get(thing.address)) is None or now.spec_hash != thing.spec_hash or now.id not in live
    ]
    changed = [replace(thing, deposed=False) for thing in back]
    changed += (replace(current[thing.address], deposed=True) for thing in back if thing.address in current)
    resources = {**question.state.resources, **{thing.id: thing for thing in changed}}
    return replace(question, state=replace(question.state, resources=resources)), tuple(changed)


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
