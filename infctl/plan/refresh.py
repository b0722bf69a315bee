"""Owns what a reading of the world means for memory: fresher outputs, and the plan that only refreshes state. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from infctl.plan.compare import World
from infctl.plan.diff import resolve
from infctl.plan.model import Mode, Plan, TargetRef
from infctl.plan.request import Question, TargetView
from infctl.plan.statements import drifted
from infctl.state.model import State


def refresh(state: State, views: Mapping[str, TargetView]) -> State:
    """Return `state` with the outputs (pid, port, url) that the world tells now."""
    live = {seen.id: seen for view in views.values() for seen in view.observed}
    changed = {
        ident: replace(thing, outputs=live[ident].outputs)
        for ident, thing in state.resources.items()
        if ident in live and live[ident].outputs != thing.outputs
    }
    return replace(state, resources={**state.resources, **changed}) if changed else state


def refresh_only(question: Question) -> Plan:
    """Return a plan that touches nothing in the world and makes state say what the world is."""
    world = World(question)
    state = question.state
    gone, accepted = [], []
    for ident, thing in state.resources.items():
        seen = world.live.get(ident)
        if seen is None:
            if not question.views[thing.target].unreadable:
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
