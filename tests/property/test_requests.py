"""What holds for any row of requests, whole or partial, with any faults and kills: nobody is sent where nothing is."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from infctl.address import Address, parse_address
from infctl.diagnostics import InfctlError
from infctl.plan.model import Mode
from infctl.plan.request import Request
from tests.fakes.failing import FailingTarget
from tests.fakes.memory import PROCESS
from tests.property.stacks import Death, Stack, Wishes, expected
from tests.property.test_apply import FAULTS, WISHES, few, settle

KINDS = st.sampled_from(["all", "restart", "rollback", "replace", "target", "target", "exclude", "destroy"])


def asked(kind: str, index: int, whole: bool, stack: Stack, wishes: Wishes) -> Request:
    """Return a request about one of the objects that are there or wanted, or about its whole model."""
    there = {thing["address"] for world in stack.worlds.values() for thing in world.things()}
    every = sorted({*there, *expected(wishes)})
    if kind == "all" or not every:
        return Request()
    address = parse_address(every[index % len(every)])
    if kind == "replace" and address.kind != PROCESS:
        return Request()  # a router replaced on demand is away for a moment, as asked
    this = (Address("model", address.name) if whole and address.key else address,)
    return {
        "restart": Request(restart=(address.name,)),
        "rollback": Request(rollback={address.name: 0}, by="ops", at="now"),
        "replace": Request(replace=(address,)),
        "target": Request(targets=this),
        "exclude": Request(excludes=this),
        "destroy": Request(Mode.DESTROY, targets=this),
    }[kind]


REFUSED = {"no-room", "unmatched-target", "no-such-model", "no-such-revision"}
RUN = st.tuples(
    WISHES, KINDS, st.integers(0, 11), st.booleans(), st.none() | FAULTS, st.sampled_from([0, 0, 0, *range(1, 40)])
)


@few
@given(st.sampled_from([60, 1000]), st.lists(RUN, min_size=1, max_size=5), WISHES)
def test_one_apply_after_any_row_of_requests_converges(
    room: int, row: list[tuple[Wishes, str, int, bool, FailingTarget | None, int]], last: Wishes
) -> None:
    stack = Stack(room)
    for wishes, kind, index, whole, faults, at in row:
        request = asked(kind, index, whole, stack, wishes)
        try:
            plan = stack.plan({} if request.mode is Mode.DESTROY else wishes, request)
        except InfctlError as refused:
            assert {each.code for each in refused.diagnostics} <= REFUSED  # noqa: PT017
            continue
        outcome = stack.apply(plan, faults=faults, death=Death(at))
        if outcome is not None and outcome.ok:
            nobody_is_sent_nowhere(stack)
    try:
        plan = stack.plan(last, Request(release=tuple(name for name, wish in last.items() if wish.replicas)))
    except InfctlError as refused:
        assume(all(each.code != "no-room" for each in refused.diagnostics))
        raise
    settle(stack, plan)
    stack.converged(last)


def nobody_is_sent_nowhere(stack: Stack) -> None:
    live = [thing for world in stack.worlds.values() for thing in world.things()]
    there = {f"memory://{thing['id']}" for thing in live}
    assert {url for thing in live for url in thing["values"].get("backends", ())} <= there
