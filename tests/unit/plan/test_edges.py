"""What a plan must get right at its edges: partial selections, stopped replicas, room that comes free on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.address import Address, parse_address
from infctl.apply.pin import stale
from infctl.diagnostics import InfctlError
from infctl.plan.request import Request
from infctl.provider.values import Do, Inventory, Place, Unreadable
from tests.unit.plan.toys import Toy, Wish, wish


def only(*addresses: str) -> Request:
    return Request(targets=tuple(parse_address(address) for address in addresses))


def applied(*wishes: Wish) -> Toy:
    toy = Toy()
    toy.carry_out(toy.plan(*wishes))
    return toy


def stop_all(toy: Toy) -> None:
    for ident, seen in toy.live.items():
        toy.live[ident] = replace(seen, running=seen.address.kind != "toy_engine")


def test_a_model_left_out_keeps_its_outputs() -> None:
    toy = applied(wish("a"), wish("b"))
    plan = toy.plan(wish("a", x=1), wish("b", x=1), request=only("model.a"))
    assert (plan.outputs["a.revision"], "b.revision" in plan.outputs) == (2, False)


def test_room_that_comes_free_on_the_way_is_no_assumption() -> None:
    toy = applied(wish("a", 3))
    toy.free = 10
    plan = toy.plan(wish("b", 3))
    have = {"here": Inventory((Place("host", 4, 1000, 10),))}
    assert stale(plan, toy.state, toy.live, have, {"checksum:file:m": "abc"}) == ()


def test_memory_is_assumed_of_each_target_by_itself() -> None:
    plan = Toy().plan(wish(replicas=1), wish(replicas=3, target="there"))
    assert {a.what: a.needs for a in plan.assumptions if a.needs} == {"memory:here": 10, "memory:there": 30}


@pytest.mark.parametrize("after", [(wish("a", 2), wish("b", 1)), (wish("a", 2, x=1),)])
def test_what_is_stopped_holds_no_memory_and_will_take_it_again(after: tuple[Wish, ...]) -> None:
    toy = applied(wish("a", 2))
    stop_all(toy)
    toy.free = 25 if len(after) == 2 else 15
    with pytest.raises(InfctlError, match="no room"):
        toy.plan(*after)
    toy.free += 5
    assert toy.plan(*after).steps


def test_a_replica_made_alone_is_the_only_one_that_its_router_sends_to() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish(replicas=2), request=only('toy_engine.chat["here/1"]')))
    (route,) = (seen for seen in toy.live.values() if seen.address.kind == "toy_route")
    (engine,) = (seen for seen in toy.live.values() if seen.address.kind == "toy_engine")
    assert [backend["url"] for backend in route.values["backends"]] == [engine.outputs["url"]]
    toy.carry_out(toy.plan(wish(replicas=2)))
    assert toy.plan(wish(replicas=2)).is_empty


def test_a_replica_leaves_alone_only_once_its_router_sends_nobody_there() -> None:
    toy = applied(wish(replicas=2))
    plan = toy.plan(wish(), request=only('toy_engine.chat["here/1"]'))
    assert [(step.do, step.address.kind) for step in plan.steps] == [
        (Do.SWITCH, "toy_route"),
        (Do.DRAIN, "toy_engine"),
        (Do.DELETE, "toy_engine"),
    ]


def test_a_router_of_a_replica_that_could_not_be_read_stays_as_it_is() -> None:
    toy = applied(wish(replicas=2))
    lost = next(seen for seen in toy.live.values() if seen.address.key == "here/1")
    del toy.live[lost.id]
    toy.unreadable = (Unreadable("host", "its description is damaged"),)
    assert toy.plan(wish(replicas=2), request=Request(allow_unreachable=True)).steps == ()


def test_a_restart_under_a_newer_lowering_is_switched_to() -> None:
    toy = applied(wish())
    toy.lowering = 2
    plan = toy.plan(wish(), request=Request(restart=("chat",)))
    assert {step.lowering for step in plan.steps if step.do is Do.CREATE} == {2}
    toy.carry_out(plan)
    (route,) = (seen for seen in toy.live.values() if seen.address.kind == "toy_route")
    (engine,) = (seen for seen in toy.live.values() if seen.address.kind == "toy_engine")
    assert route.values["backends"][0]["url"] == engine.outputs["url"]
    assert toy.plan(wish()).is_empty


def test_what_was_to_be_replaced_stays_where_its_successor_never_came() -> None:
    toy = applied(wish())
    (old,) = (seen for seen in toy.live.values() if seen.address.kind == "toy_engine")
    known = toy.state.resources[old.id]
    begun = replace(known, id="begun", name="begun", pending="create", ready=False)
    toy.state = toy.state.put(replace(known, deposed=True)).put(begun)
    plan = toy.plan(wish())
    assert ([step.do for step in plan.steps], plan.forget) == ([], ("begun",))
    toy.carry_out(plan)
    assert toy.plan(wish()).is_empty


def test_names_stay_within_the_limit_when_a_revision_stands_twice() -> None:
    model = "m" * 40
    toy = applied(wish(model))
    toy.state = replace(toy.state, stack="s" * 40)
    toy.carry_out(toy.plan(wish(model), request=Request(replace=(parse_address(f"model.{model}"),))))
    plan = toy.plan(wish(model), request=Request(replace=(parse_address(f"model.{model}"),)))
    names = [step.name for step in plan.steps if step.do is Do.CREATE]
    assert names
    assert all(len(name) <= 63 for name in names)


@pytest.mark.parametrize("asked", [only('toy_engine.a["here/0"]'), Request(excludes=(parse_address("model.b"),))])
def test_what_others_stand_on_outlives_a_partial_removal(asked: Request) -> None:
    toy = applied(wish("a"), wish("b"))
    assert "toy_relay" not in {step.address.kind for step in toy.plan(request=asked).steps}


def test_a_switch_on_the_way_waits_for_what_the_router_stands_on() -> None:
    toy = applied(wish(replicas=3))
    relay = next(seen for seen in toy.live.values() if seen.address.kind == "toy_relay")
    del toy.live[relay.id]
    toy.free = 10
    steps = toy.plan(wish(replicas=3, x=1)).steps
    (made,) = (step.id for step in steps if step.address.kind == "toy_relay")
    switches = [step for step in steps if step.do is Do.SWITCH]
    assert len(switches) > 1
    assert all(made in step.needs for step in switches)


def test_a_router_left_out_leaves_its_replicas_as_they_are() -> None:
    toy = applied(wish())
    asked = Request(excludes=(parse_address('toy_route.chat["here"]'),))
    assert toy.plan(wish(x=1), request=asked).steps == ()
    assert toy.plan(request=asked).steps == ()


def test_replacing_a_model_leaves_its_address_alone() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish()))
    plan = toy.plan(wish(), request=Request(replace=(Address("model", "chat"),)))
    assert [str(step.do) for step in plan.steps if step.address.kind == "toy_route"] == ["switch"]


def test_what_a_killed_run_left_does_not_lend_its_id_to_something_new() -> None:
    toy = applied(wish(ctx=1))
    serial = toy.state.serial
    begun = toy.plan(wish(ctx=2))
    toy.carry_out(replace(begun, steps=begun.steps[:1], model_states=()))
    toy.state = replace(toy.state, serial=serial)  # killed: no snapshot
    back = toy.plan(wish(ctx=1))
    toy.carry_out(replace(back, steps=()))
    toy.state = replace(toy.state, serial=serial)
    plan = toy.plan(wish(ctx=3))
    made = {step.object for step in plan.steps if step.do is Do.CREATE}
    assert made.isdisjoint(step.object for step in plan.steps if step.do is Do.DELETE)
    toy.carry_out(plan)
    assert toy.plan(wish(ctx=3)).is_empty
