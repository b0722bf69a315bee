"""Places that cannot be read are judged one by one; what is given up goes elsewhere, and its place is emptied later."""

from __future__ import annotations

from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.plan.file import read_plan, write_plan
from infctl.plan.model import Action, Plan
from infctl.plan.request import Request
from infctl.provider.values import Do, Unreadable
from tests.fakes.memory import PROCESS, ROUTE
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes
from tests.unit.plan.toys import Toy, wish

ALLOW = Request(allow_unreachable=True)
TWO: Wishes = {"chat": GpuWish(2, gpus=1)}


def fleet(*hosts: int) -> Fleet:
    """Return a fleet of hosts a, b, c with so many devices of 80 bytes each."""
    return Fleet(200, gpus={name: (80,) * count for name, count in zip("abc", hosts, strict=False)})


def applied(stack: Fleet, wishes: Wishes, request: Request | None = None) -> Plan:
    plan = stack.plan(wishes, request)
    outcome = stack.apply(plan)
    assert outcome is not None
    assert outcome.ok, outcome.failures
    return plan


def codes(caught: pytest.ExceptionInfo[InfctlError]) -> list[str]:
    return [str(each.code) for each in caught.value.diagnostics]


def backends(stack: Fleet, host: str) -> list[str]:
    route = next(t for t in stack.world.things() if t["address"] == f'{ROUTE}.chat["rack/{host}"]')
    return [url.removeprefix("memory://") for url in route["values"]["backends"]]


def test_a_dead_host_stops_the_plan_once_and_by_name() -> None:
    stack = fleet(1, 1)
    applied(stack, TWO)
    stack.world.down.add("b")
    with pytest.raises(InfctlError) as caught:
        stack.plan(TWO)
    assert codes(caught) == ["unreachable"]
    assert caught.value.diagnostics[0].summary == "b could not be read"


def test_what_is_at_a_dead_host_is_left_alone_and_the_rest_is_judged() -> None:
    stack = fleet(2, 2)
    applied(stack, TWO)
    stack.world.down.add("b")
    lost = next(t for t in stack.world.things() if t["place"] == "a" and t["address"].startswith(PROCESS))
    stack.world.drop(lost["id"])
    plan = stack.plan(TWO, ALLOW)
    assert [(c.action, c.address.key) for c in plan.changes if c.address.kind == PROCESS] == [(Action.CREATE, "rack/0")]
    assert {str(step.address) for step in plan.steps} == {f'{PROCESS}.chat["rack/0"]', f'{ROUTE}.chat["rack/a"]'}
    assert plan.drift
    assert {drift.address.key for drift in plan.drift} == {"rack/0"}


def test_new_replicas_go_to_hosts_that_can_be_read() -> None:
    stack = fleet(1, 2)
    stack.world.down.add("a")
    applied(stack, {"chat": GpuWish(2, gpus=1)}, ALLOW)
    assert {host for host, _ in stack.spots("chat").values()} == {"b"}
    assert {t["place"] for t in stack.world.things()} == {"b"}


def test_nothing_is_made_where_nothing_could_be_read() -> None:
    stack = fleet(1, 1)
    stack.world.down |= {"a", "b"}
    plan = stack.plan(TWO, ALLOW)
    assert plan.steps == ()
    assert plan.model_states == ()


def test_a_given_up_replica_is_made_elsewhere_and_removed_first_when_its_host_is_back() -> None:
    stack = fleet(1, 1, 1)
    applied(stack, TWO)
    before = stack.spots("chat")
    stack.world.down.add("b")
    given_up = applied(stack, TWO, Request(evacuate=("b",)))
    assert {host for host, _ in stack.spots("chat").values()} == {"a", "c"}
    assert len(set(stack.spots("chat").values()) & set(before.values())) == 1
    (lost,) = (thing for thing in stack.state.resources.values() if thing.lost)
    assert lost.values["host"] == "b"
    assert str(lost.address) in {str(thing.address) for thing in given_up.refreshed}
    standing = {t["id"] for t in stack.world.things() if t["place"] != "b"}
    assert set(backends(stack, "a")) <= standing
    assert stack.plan(TWO, ALLOW).is_empty

    stack.world.down.clear()
    more: Wishes = {"chat": GpuWish(3, gpus=1)}
    back = stack.plan(more)
    first = next(step for step in back.steps if step.object == lost.id)
    assert (first.do, first.needs) == (Do.DELETE, ())
    others = [step for step in back.steps if step is not first]
    assert others
    assert all(step.needs for step in others)
    outcome = stack.apply(back)
    assert outcome is not None
    assert outcome.ok, outcome.failures
    stack.converged(more)


def test_what_was_given_up_survives_the_plan_file(tmp_path: Path) -> None:
    stack = fleet(1, 1, 1)
    applied(stack, TWO)
    stack.world.down.add("b")
    plan = stack.plan(TWO, Request(evacuate=("b",)))
    write_plan(plan, tmp_path / "plan")
    assert read_plan(tmp_path / "plan") == plan
    assert [thing.lost for thing in read_plan(tmp_path / "plan").refreshed] == [True]


def test_only_what_cannot_be_read_is_given_up() -> None:
    stack = fleet(1, 1)
    applied(stack, TWO)
    for name, words in (("a", "a can be read, so nothing is lost there"), ("d", "There is no place 'd' to evacuate")):
        with pytest.raises(InfctlError) as caught:
            stack.plan(TWO, Request(evacuate=(name,)))
        assert codes(caught) == ["not-lost"]
        assert caught.value.diagnostics[0].summary == words
        assert caught.value.diagnostics[0].hint


def test_a_host_that_left_the_target_is_not_taken_for_an_empty_one() -> None:
    stack = fleet(1, 1)
    applied(stack, TWO)
    stack.gpus = {"a": (80, 80)}
    stack.world.down.add("b")  # nobody asks it any more
    with pytest.raises(InfctlError) as caught:
        stack.plan(TWO)
    assert codes(caught) == ["unreachable"]
    assert "-evacuate=b" in caught.value.diagnostics[0].hint
    applied(stack, TWO, Request(evacuate=("b",)))
    assert {host for host, _ in stack.spots("chat").values()} == {"a"}
    left = stack.plan(TWO)
    assert left.is_empty
    assert any("b cannot be removed: it is no longer a place of rack" in note for note in left.notes)


def test_where_one_router_cannot_be_reached_the_others_switch_and_it_is_said() -> None:
    stack = fleet(2, 2, 2)
    one: Wishes = {"chat": GpuWish(1, gpus=1)}
    applied(stack, one)
    (host,) = {host for host, _ in stack.spots("chat").values()}
    dead = next(name for name in "abc" if name != host)
    stack.world.down.add(dead)
    plan = applied(stack, {"chat": GpuWish(1, gpus=1, variant=1)}, ALLOW)
    switched = {step.address.key for step in plan.steps if step.do is Do.SWITCH}
    assert switched == {f"rack/{name}" for name in "abc" if name != dead}
    (drain,) = (step for step in plan.steps if step.do is Do.DRAIN)
    assert {step.id for step in plan.steps if step.do is Do.SWITCH} <= set(drain.needs)
    assert any(f'chat["rack/{dead}"]' in note for note in plan.notes)
    assert stack.state.models["chat"].revision == 2
    stack.world.down.clear()
    applied(stack, {"chat": GpuWish(1, gpus=1, variant=1)})
    stack.converged({"chat": GpuWish(1, gpus=1, variant=1)})


def test_a_plan_is_pinned_to_the_memory_and_devices_that_it_takes() -> None:
    stack = fleet(1, 1)
    plan = stack.plan({"chat": GpuWish(1, gpus=1), "embed": GpuWish(1, gpus=1, share=30)})
    assert [(a.what, a.value, a.needs) for a in plan.assumptions if a.what.startswith(("memory", "device"))] == [
        ("device:rack/a/a-gpu0", 80, 72),  # whole, but for what a driver may hold of an idle one
        ("device:rack/b/b-gpu0", 80, 30),
        ("memory:rack/a", 200, 10),
        ("memory:rack/b", 200, 10),
    ]


def test_nothing_is_made_on_a_target_of_which_nothing_could_be_read() -> None:
    toy = Toy(unreadable=(Unreadable("here", "no answer"),))
    plan = toy.plan(wish(replicas=2), request=ALLOW)
    assert plan.is_empty
    toy.unreadable = (Unreadable("old-description", "it is damaged"),)
    assert toy.plan(wish(replicas=2), request=ALLOW).steps, "the rest of it is planned"
