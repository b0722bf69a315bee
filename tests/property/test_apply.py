"""What holds for any sequence of stacks and any faults: apply converges, plans repeat, nobody else is touched."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infctl.diagnostics import InfctlError
from infctl.plan.request import Request
from tests.fakes.failing import FailingTarget
from tests.property.stacks import TARGETS, Death, Stack, Wish, Wishes

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
ROOM = st.sampled_from([70, 90, 130, 1000])
few = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def settle(stack: Stack, wishes: Wishes) -> None:
    """Apply once more, with nothing in the way."""
    outcome = stack.apply(stack.plan(wishes))
    assert outcome is not None
    assert outcome.ok, outcome.failures


def fits(stack: Stack, wishes: Wishes) -> bool:
    """Return whether the wishes have room on every target even beside nothing else."""
    need = dict.fromkeys(TARGETS, 0)
    for wish in wishes.values():
        need[wish.target] += wish.replicas * wish.memory
    return all(total <= stack.room for total in need.values())


@few
@given(st.lists(WISHES, min_size=1, max_size=4))
def test_a_second_plan_after_apply_is_empty(sequence: list[Wishes]) -> None:
    stack = Stack()
    for wishes in sequence:
        settle(stack, wishes)
        stack.converged(wishes)


@few
@given(st.lists(st.tuples(WISHES, FAULTS), min_size=1, max_size=3))
def test_one_apply_after_any_failure_converges(sequence: list[tuple[Wishes, FailingTarget]]) -> None:
    stack = Stack()
    for wishes, faults in sequence:
        stack.apply(stack.plan(wishes), faults=faults)
        settle(stack, wishes)
        stack.converged(wishes)


@few
@given(st.lists(st.tuples(WISHES, st.integers(1, 40)), min_size=1, max_size=3))
def test_one_apply_after_a_kill_at_any_write_or_call_converges(sequence: list[tuple[Wishes, int]]) -> None:
    stack = Stack()
    for wishes, at in sequence:
        stack.apply(stack.plan(wishes), death=Death(at))
        settle(stack, wishes)
        stack.converged(wishes)
