"""What a plan must get right at its edges: partial selections, stopped replicas, room that comes free on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.address import parse_address
from infctl.apply.pin import stale
from infctl.diagnostics import InfctlError
from infctl.plan.request import Request
from infctl.provider.values import Inventory, Place
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
