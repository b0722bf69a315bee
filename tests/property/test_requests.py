"""What holds for any row of requests, whole or partial, with any faults and kills: nobody is sent where nothing is."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from infctl.address import parse_address
from infctl.diagnostics import InfctlError
from infctl.plan.model import Mode
from infctl.plan.request import Request
from tests.fakes.failing import FailingTarget
from tests.property.stacks import TARGETS, Death, Stack, Wishes
from tests.property.test_apply import FAULTS, WISHES, few, settle

MODEL = st.sampled_from(["chat", "embed", "tool"])
ANYBODY = MODEL.map(lambda name: (parse_address(f"model.{name}"),))
REPLICA = st.builds(
    lambda name, target, slot: (parse_address(f'fake_process.{name}["{target}/{slot}"]'),),
    MODEL, st.sampled_from(TARGETS), st.integers(0, 2),
)  # fmt: skip
REQUEST = st.one_of(
    st.builds(Request),
    st.builds(Request, restart=MODEL.map(lambda name: (name,))),
    st.builds(Request, rollback=MODEL.map(lambda name: {name: 0}), by=st.just("ops"), at=st.just("now")),
    st.builds(Request, replace=ANYBODY | REPLICA),
    st.builds(Request, targets=ANYBODY | REPLICA),
    st.builds(Request, excludes=REPLICA),
    st.builds(Request, mode=st.just(Mode.DESTROY), targets=ANYBODY),
)
REFUSED = {"no-room", "unmatched-target", "no-such-model", "no-such-revision"}
RUN = st.tuples(WISHES, REQUEST, FAULTS, st.sampled_from([0, 0, *range(1, 40)]))


@few
@given(st.sampled_from([60, 1000]), st.lists(RUN, min_size=1, max_size=5), WISHES)
def test_one_apply_after_any_row_of_requests_converges(
    room: int, row: list[tuple[Wishes, Request, FailingTarget, int]], last: Wishes
) -> None:
    stack = Stack(room)
    for wishes, request, faults, at in row:
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
