"""What holds for any sequence of stacks, any faults and any kill: apply converges, and nobody else is touched."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infctl.diagnostics import InfctlError
from infctl.plan.model import Mode, Plan
from infctl.plan.request import Request
from tests.fakes.failing import FailingTarget
from tests.property.stacks import Death, Stack, Wish, Wishes

RATE = st.sampled_from([0.0, 0.0, 0.1, 0.3])
WISH = st.builds(
    Wish,
    replicas=st.integers(0, 3),
    variant=st.integers(0, 2),
    memory=st.sampled_from([10, 10, 20]),
    port=st.sampled_from([0, 0, 8000]),
    tag=st.sampled_from(["", "x"]),
    target=st.sampled_from(["here", "here", "there"]),
    secret=st.booleans(),
)
WISHES = st.fixed_dictionaries({}, optional={"chat": WISH, "embed": WISH, "tool": WISH})
FAULTS = st.builds(
    FailingTarget,
    seed=st.integers(0, 10**6),
    refused=RATE,
    half_done=RATE,
    dead=RATE,
    defects=st.sampled_from([0.0, 0.0, 0.1]),
)
ROOM = st.sampled_from([30, 40, 60, 1000])  # bytes: from barely enough to plenty
EXAMPLES = int(os.environ.get("INFCTL_EXAMPLES", "0"))  # of each property; a soak asks for many, each time others
few = settings(
    max_examples=EXAMPLES or 120, deadline=None, derandomize=not EXAMPLES, suppress_health_check=list(HealthCheck)
)


def planned(stack: Stack, wishes: Wishes) -> Plan:
    """Return the plan; an example whose wishes have no room is none."""
    try:
        return stack.plan(wishes)
    except InfctlError as refused:
        if {d.code for d in refused.diagnostics} == {"no-room"}:
            assume(False)
        raise


def settle(stack: Stack, plan: Plan) -> None:
    """Apply with nothing in the way."""
    outcome = stack.apply(plan)
    assert outcome is not None
    assert outcome.ok, outcome.failures


@few
@given(st.lists(WISHES, min_size=1, max_size=4))
def test_a_second_plan_after_apply_is_empty(sequence: list[Wishes]) -> None:
    stack = Stack()
    for wishes in sequence:
        settle(stack, stack.plan(wishes))
        stack.converged(wishes)


@few
@given(ROOM, st.lists(st.tuples(WISHES, FAULTS), min_size=1, max_size=4))
def test_one_apply_after_any_failure_converges(room: int, sequence: list[tuple[Wishes, FailingTarget]]) -> None:
    stack = Stack(room)
    for wishes, faults in sequence:
        stack.apply(planned(stack, wishes), faults=faults)
        settle(stack, stack.plan(wishes))
        stack.converged(wishes)


@few
@given(ROOM, st.lists(st.tuples(WISHES, st.integers(1, 40)), min_size=1, max_size=4))
def test_one_apply_after_a_kill_at_any_write_or_call_converges(room: int, sequence: list[tuple[Wishes, int]]) -> None:
    stack = Stack(room)
    for wishes, at in sequence:
        stack.apply(planned(stack, wishes), death=Death(at))
        settle(stack, stack.plan(wishes))
        stack.converged(wishes)


@few
@given(st.lists(st.tuples(WISHES, FAULTS, st.integers(0, 40)), min_size=1, max_size=4), WISHES)
def test_one_apply_after_a_row_of_failures_and_kills_converges(
    sequence: list[tuple[Wishes, FailingTarget, int]], wishes: Wishes
) -> None:
    stack = Stack()
    for each, faults, at in sequence:
        stack.apply(stack.plan(each), faults=faults, death=Death(at))
    settle(stack, stack.plan(wishes))
    stack.converged(wishes)


@few
@given(st.lists(st.tuples(WISHES, FAULTS, st.integers(0, 40)), min_size=1, max_size=3))
def test_a_destroy_after_anything_leaves_nothing(sequence: list[tuple[Wishes, FailingTarget, int]]) -> None:
    stack = Stack()
    for each, faults, at in sequence:
        stack.apply(stack.plan(each), faults=faults, death=Death(at))
    settle(stack, stack.plan({}, Request(Mode.DESTROY)))
    stack.converged({})
    assert not stack.state.models


@few
@given(WISHES, st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=4))
def test_what_the_world_lost_or_stopped_is_mended(wishes: Wishes, losses: list[tuple[int, bool]]) -> None:
    stack = Stack()
    settle(stack, stack.plan(wishes))
    for index, stops in losses:
        live = [(world, thing) for world in stack.worlds.values() for thing in world.things()]
        if not live:
            continue
        world, thing = live[index % len(live)]
        if stops:
            world.put({**thing, "running": False})
        else:
            world.drop(thing["id"])
    settle(stack, stack.plan(wishes))
    stack.converged(wishes)


@few
@given(WISHES, WISHES, FAULTS)
def test_nothing_unplanned_is_touched(first: Wishes, second: Wishes, faults: FailingTarget) -> None:
    stack = Stack()
    settle(stack, stack.plan(first))
    before = stack.things()
    plan = stack.plan(second)
    stack.apply(plan, faults=faults)
    named = {step.object for step in plan.steps}
    assert stack.touched <= named
    left_alone = before.keys() - named
    assert {ident: stack.things().get(ident) for ident in left_alone} == {i: before[i] for i in left_alone}


@few
@given(WISH, WISH, FAULTS)
def test_a_rollback_restores_the_earlier_spec_and_holds_it(first: Wish, second: Wish, faults: FailingTarget) -> None:
    assume(first.replicas and second.replicas and first.target == second.target)
    old, new = first.deployment("chat").spec_hash, second.deployment("chat").spec_hash
    assume(old != new)
    stack = Stack()
    settle(stack, stack.plan({"chat": first}))
    settle(stack, stack.plan({"chat": second}))
    back = Request(rollback={"chat": 0}, by="ops", at="now")
    stack.apply(stack.plan({"chat": second}, back), faults=faults)
    settle(stack, stack.plan({"chat": second}, Request(rollback={"chat": 1}, by="ops", at="now")))
    assert stack.hashes("chat") == {old}
    held = stack.plan({"chat": second})
    assert held.is_empty
    assert held.holds
    settle(stack, stack.plan({"chat": second}, Request(release=("chat",))))
    assert stack.hashes("chat") == {new}
