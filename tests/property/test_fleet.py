"""What holds for replicas on hosts with devices: nothing is promised twice, nothing moves without need."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from infctl.diagnostics import InfctlError
from infctl.plan.model import Mode, Plan
from infctl.plan.request import Request
from tests.fakes.failing import FailingTarget
from tests.property.fleets import Fall, Fleet, GpuWish, limits, promised_at_most
from tests.property.stacks import Death, Wishes
from tests.property.test_apply import FAULTS, few

SHARES = st.sampled_from([(0, 0, 0.0), (1, 0, 0.0), (1, 20, 0.0), (1, 30, 0.0), (1, 0, 0.5), (2, 0, 0.0), (2, 20, 0.0)])


def _wish(shape: tuple[int, int, float], replicas: int, variant: int, memory: int) -> GpuWish:
    gpus, share, fraction = shape
    return GpuWish(replicas, variant, memory, gpus=gpus, share=share, fraction=fraction)


WISH = st.builds(_wish, SHARES, st.integers(0, 3), st.integers(0, 2), st.sampled_from([10, 20]))
WISHES = st.fixed_dictionaries({}, optional={"chat": WISH, "embed": WISH, "tool": WISH})
GPUS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(st.sampled_from([40, 80]), max_size=4), min_size=1)
OTHERS = st.dictionaries(st.sampled_from(["a-gpu0", "b-gpu1"]), st.sampled_from([20, 40]), max_size=2)
ROOM = st.sampled_from([40, 60, 200])


def fleet(gpus: dict[str, list[int]], others: dict[str, int], room: int) -> Fleet:
    there = {host: tuple(sizes) for host, sizes in sorted(gpus.items())}
    known = {f"{host}-gpu{index}" for host, sizes in there.items() for index in range(len(sizes))}
    return Fleet(room, gpus=there, others={uuid: used for uuid, used in others.items() if uuid in known})


FLEET = st.builds(fleet, GPUS, OTHERS, ROOM)


def planned(stack: Fleet, wishes: Wishes, request: Request | None = None) -> Plan | None:
    try:
        return stack.plan(wishes, request)
    except InfctlError as refused:
        if {d.code for d in refused.diagnostics} != {"no-room"}:
            raise
        return None


def settle(stack: Fleet, plan: Plan) -> None:
    outcome = stack.apply(plan)
    assert outcome is not None
    assert outcome.ok, outcome.failures


@few
@given(FLEET, st.lists(WISHES, min_size=1, max_size=4), st.integers(0, 10**6))
def test_nothing_is_promised_twice_at_any_time_and_a_second_plan_is_empty(
    stack: Fleet, sequence: list[Wishes], seed: int
) -> None:
    for wishes in sequence:
        plan = planned(stack, wishes)
        if plan is None:
            continue
        there = limits(stack)
        for pool, size in promised_at_most(stack, plan, seed).items():
            assert size <= there[pool], (pool, size, there[pool], plan.steps)
        settle(stack, plan)
        stack.converged(wishes)


@few
@given(FLEET, WISHES, WISHES)
def test_what_is_not_replaced_stays_where_it_runs(stack: Fleet, first: Wishes, second: Wishes) -> None:
    plan = planned(stack, first)
    assume(plan is not None)
    assert plan is not None
    settle(stack, plan)
    before = {name: stack.spots(name) for name in first}
    plan = planned(stack, second)
    assume(plan is not None and not stack.note)  # which says who moves to make room
    assert plan is not None
    settle(stack, plan)
    for name in first.keys() & second.keys():
        if first[name].deployment(name).spec_hash == second[name].deployment(name).spec_hash:
            after = stack.spots(name)
            assert all(after[slot] == spot for slot, spot in before[name].items() if slot in after)


@few
@given(FLEET, st.lists(st.tuples(WISHES, FAULTS, st.integers(0, 40)), min_size=1, max_size=3), WISHES)
def test_one_apply_after_failures_and_kills_converges(
    stack: Fleet, sequence: list[tuple[Wishes, FailingTarget, int]], wishes: Wishes
) -> None:
    for each, faults, at in sequence:
        plan = planned(stack, each)
        if plan is not None:
            stack.apply(plan, faults=faults, death=Death(at))
    plan = planned(stack, wishes)
    if plan is not None:
        settle(stack, plan)
        stack.converged(wishes)
    settle(stack, stack.plan({}, Request(Mode.DESTROY)))
    stack.converged({})


@few
@given(FLEET, WISHES, WISHES, st.builds(Fall, st.sampled_from(["a", "b", "c"]), st.integers(1, 12)), st.booleans())
def test_a_host_that_falls_in_mid_apply_is_given_up_or_comes_back(
    stack: Fleet, first: Wishes, second: Wishes, fall: Fall, gives_up: bool
) -> None:
    host = fall.host
    assume(host in stack.gpus)
    for wishes in (first, second):
        plan = planned(stack, wishes)
        assume(plan is not None)
        assert plan is not None
        stack.fall = fall if wishes is second else Fall()
        stack.apply(plan)
    stack.fall = Fall()
    request = Request(evacuate=(host,)) if gives_up else Request(allow_unreachable=True)
    rest = planned(stack, second, request) if host in stack.world.down else None
    if rest is not None:
        there = {t["id"]: t for t in stack.world.things() if t["place"] == host}
        settle(stack, rest)
        assert {t["id"]: t for t in stack.world.things() if t["place"] == host} == there
        again = planned(stack, second, Request(allow_unreachable=True))
        assert again is not None
        assert not again.steps, again.steps
    stack.world.down.clear()
    plan = planned(stack, second)
    if plan is not None:
        settle(stack, plan)
        stack.converged(second)
