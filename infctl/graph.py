"""Owns order: what must come before what, and what may run side by side.

Knows nothing of what the nodes are. Linear in nodes and edges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


class CycleError(ValueError):
    """Raised with the nodes of one cycle, in order, the first repeated at the end."""

    def __init__(self, cycle: tuple[object, ...]) -> None:
        super().__init__(" -> ".join(str(node) for node in cycle))
        self.cycle = cycle


def topological_order(needs: Mapping[Node, Collection[Node]]) -> tuple[Node, ...]:
    """Return the nodes of `needs` (node -> what it needs), needed ones first; ties keep the mapping's order.

    Needs that are not nodes themselves are taken as met. Raises CycleError.
    """
    missing = {node: sum(1 for need in wanted if need in needs) for node, wanted in needs.items()}
    wanted_by: dict[Node, list[Node]] = {node: [] for node in needs}
    for node, wanted in needs.items():
        for need in wanted:
            if need in needs:
                wanted_by[need].append(node)
    ready = deque(node for node, count in missing.items() if count == 0)
    order: list[Node] = []
    while ready:
        node = ready.popleft()
        order.append(node)
        for waiting in wanted_by[node]:
            missing[waiting] -= 1
            if missing[waiting] == 0:
                ready.append(waiting)
    if len(order) < len(needs):
        raise CycleError(_one_cycle({n: needs[n] for n, count in missing.items() if count > 0}))
    return tuple(order)


def _one_cycle(needs: Mapping[Node, Collection[Node]]) -> tuple[Node, ...]:
    """Return one cycle among `needs`, every node of which is on or behind a cycle."""
    path: list[Node] = [next(iter(needs))]
    while True:
        following = next(need for need in needs[path[-1]] if need in needs)
        if following in path:
            return (*path[path.index(following) :], following)
        path.append(following)
