"""Owns the graph of a stack as values: what stands on what, or which step waits for which. Pure."""

from __future__ import annotations

from infctl.frozen import dataclass
from infctl.plan.model import Plan
from infctl.provider.values import refs
from infctl.state.model import State


@dataclass(frozen=True, slots=True)
class Graph:
    """`nodes` are (id, label, model), `edges` go from what needs to what is needed."""

    nodes: tuple[tuple[str, str, str], ...]
    edges: tuple[tuple[str, str], ...]


def objects_graph(plan: Plan, state: State) -> Graph:
    """Return the objects that will stand once `plan` is true, and what each refers to."""
    standing = {str(t.address): (t.model, t.values) for t in state.resources.values() if not t.deposed}
    for change in plan.resource_changes:
        if change.after is None:
            standing.pop(str(change.address), None)
        else:
            standing[str(change.address)] = (change.model, change.after)
    nodes = tuple((address, address, model) for address, (model, _) in sorted(standing.items()))
    edges = {
        (address, str(ref.address))
        for address, (_, values) in standing.items()
        for ref in refs(values)
        if str(ref.address) in standing
    }
    return Graph(nodes, tuple(sorted(edges)))


def steps_graph(plan: Plan) -> Graph:
    """Return the steps of `plan`, and what each waits for."""
    nodes = tuple((step.id, f"{step.id} {step.do} {step.address}", step.model) for step in plan.steps)
    return Graph(nodes, tuple((step.id, need) for step in plan.steps for need in step.needs))
