"""A revision that a killed run began and that fails in the next run is taken back whole, as if one run had begun it."""

from __future__ import annotations

import pytest

from tests.fakes.failing import FailingTarget
from tests.property.stacks import Death, Stack, Wish

BEFORE = {"chat": Wish(replicas=2)}
AFTER = {"chat": Wish(replicas=2, variant=1)}


@pytest.mark.parametrize("at", range(1, 24))
@pytest.mark.parametrize("again", [False, True], ids=["killed once", "killed twice"])
def test_nothing_of_a_failed_revision_is_left_whoever_began_it(at: int, again: bool) -> None:
    stack = Stack()
    stack.apply(stack.plan(BEFORE))
    stack.apply(stack.plan(AFTER), death=Death(at))
    if again:
        stack.apply(stack.plan(AFTER), death=Death(5))
    serving = stack.state.models["chat"].revision
    switched = any(thing.revision > serving and thing.ready for thing in stack.state.resources.values())
    failed = stack.apply(stack.plan(AFTER), faults=FailingTarget(dead=1.0))
    assert failed is not None
    if failed.ok or switched:
        return  # all had answered, or the traffic had moved: then the way is forward
    assert stack.state.models["chat"].revision == 1
    assert {thing.revision for thing in stack.state.resources.values() if thing.spec_hash} == {1}
    assert not [thing for thing in stack.state.resources.values() if thing.deposed or thing.pending]
    stack.converged(BEFORE)
