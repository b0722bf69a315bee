"""What runs moves where that makes room for all, first and beside itself; and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.address import Address
from infctl.diagnostics import InfctlError
from infctl.placement.room import Rollout
from infctl.plan.request import Request
from infctl.plan.spots import Manner
from infctl.provider.values import Do
from tests.fakes.memory import PROCESS
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes
from tests.unit.plan.test_places import applied, codes, fleet

SMALL: Wishes = {"chat": GpuWish(2, gpus=1)}
BOTH: Wishes = {**SMALL, "embed": GpuWish(1, gpus=2)}


def scattered() -> Fleet:
    """Return two hosts with two devices each, of which a replica has one on either."""
    stack = fleet(2, 2)
    applied(stack, SMALL)
    assert {place for place, _ in stack.spots("chat").values()} == {"a", "b"}
    return stack


def test_a_replica_moves_when_that_makes_room_for_all() -> None:
    stack = scattered()
    plan = applied(stack, BOTH)
    assert stack.note.startswith("What runs moves first, so that there is room for all: chat rack/")
    stack.converged(BOTH)
    ((_, devices),) = stack.spots("embed").values()
    assert len(devices) == 2
    assert len({place for place, _ in stack.spots("chat").values()}) == 1
    moved = next(model for model in plan.models if model.name == "chat")
    assert (moved.rollout, moved.downtime) == (Rollout.SURGE, False)


def test_who_moves_is_gone_before_who_comes_for_its_room() -> None:
    stack = scattered()
    plan = stack.plan(BOTH)
    gone = next(s.id for s in plan.steps if s.do is Do.DELETE and s.address.kind == PROCESS)
    comes = next(s for s in plan.steps if s.do is Do.CREATE and s.address.kind == PROCESS and s.model == "embed")
    assert gone in comes.needs


def test_nothing_moves_where_there_is_room() -> None:
    stack = fleet(2, 2, 2)
    applied(stack, SMALL)
    before = stack.spots("chat")
    applied(stack, BOTH)
    assert stack.spots("chat") == before
    assert not stack.note


@pytest.mark.parametrize("manner", [Manner("host"), Manner("zone")])
def test_who_moves_keeps_its_rules(manner: Manner) -> None:
    stack = scattered()
    stack.manners = {"chat": manner}
    with pytest.raises(InfctlError) as caught:
        stack.plan(BOTH)
    assert codes(caught) == ["no-room"]


def test_no_more_move_than_must() -> None:
    stack = fleet(2, 2, 2)
    wishes: Wishes = {"chat": GpuWish(3, gpus=1)}
    applied(stack, wishes)
    before = stack.spots("chat")
    applied(stack, {**wishes, "embed": GpuWish(1, gpus=2)})
    after = stack.spots("chat")
    assert sum(after[slot] != spot for slot, spot in before.items()) == 1


def test_what_a_target_leaves_out_does_not_move() -> None:
    stack = scattered()
    with pytest.raises(InfctlError):
        stack.plan(BOTH, Request(targets=(Address("model", "embed"),)))


def test_who_is_replaced_itself_makes_no_room_for_others() -> None:
    stack = scattered()
    with pytest.raises(InfctlError):
        stack.plan({"chat": replace(SMALL["chat"], variant=1), "embed": GpuWish(1, gpus=2)})
