"""What addresses stand on is replaced at one host after the other, and the plan says what that means for the model."""

from __future__ import annotations

import random

import pytest

from infctl.address import parse_address
from infctl.plan.model import Plan
from infctl.plan.request import Request
from infctl.provider.values import Do
from infctl.views.plan import show_plan
from infctl.views.plan_json import plan_view
from infctl.views.style import Style
from tests.fakes.memory import RELAY, ROUTE
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes

TWO: Wishes = {"chat": GpuWish(2, gpus=1), "embed": GpuWish(1)}


def stack_on(*hosts: str) -> Fleet:
    stack = Fleet(200, gpus=dict.fromkeys(hosts, (80,) * 4))
    run(stack, stack.plan(TWO))
    return stack


def run(stack: Fleet, plan: Plan) -> None:
    outcome = stack.apply(plan)
    assert outcome is not None
    assert outcome.ok, outcome.failures


def replacing(stack: Fleet, *hosts: str, wishes: Wishes = TWO) -> Plan:
    return stack.plan(wishes, Request(replace=tuple(parse_address(f'{RELAY}.rack["{host}"]') for host in hosts)))


def most_away(plan: Plan, seed: int) -> int:
    """Return how many hosts at most have no address for some model, in some order that the steps' needs allow."""
    choose = random.Random(seed)
    left = {step.id: step for step in plan.steps}
    away: set[tuple[str, str]] = set()
    most = 0
    while left:
        step = choose.choice([step for step in left.values() if left.keys().isdisjoint(step.needs)])
        del left[step.id]
        place = step.address.key.rpartition("/")[2]
        if step.address.kind == RELAY and step.do is Do.DELETE:
            away |= {(place, model) for model in TWO}
        elif step.address.kind == ROUTE and step.do is Do.SWITCH:
            away.discard((place, step.model))
        most = max(most, len({host for host, _ in away}))
    assert not away
    return most


@pytest.mark.parametrize("seed", range(5))
def test_never_two_hosts_are_without_an_address(seed: int) -> None:
    stack = stack_on("a", "b", "c")
    plan = replacing(stack, "a", "b", "c")
    assert most_away(plan, seed) == 1
    run(stack, plan)
    assert stack.plan(TWO).is_empty
    other: Wishes = {**TWO, "chat": GpuWish(2, variant=9, gpus=1)}
    plan = replacing(stack, "c", "b", "a", wishes=other)  # and a rollout of one of the models with it
    assert most_away(plan, seed) == 1
    run(stack, plan)
    stack.converged(other)


def test_the_plan_says_what_it_means() -> None:
    stack = stack_on("a", "b")
    plan = replacing(stack, "a", "b")
    assert {model.name: (model.downtime, model.in_turn) for model in plan.models} == {
        "chat": (False, True), "embed": (False, True),
    }  # fmt: skip
    told = " ".join("\n".join(show_plan(plan_view(plan), Style(200))).split())
    assert "Downtime: each address of chat, embed is away for a moment, one host after the other." in told
    assert {model.name: (model.downtime, model.in_turn) for model in replacing(stack_on("a"), "a").models} == {
        "chat": (True, False), "embed": (True, False),
    }  # fmt: skip


def test_a_host_that_does_not_come_back_stops_the_others() -> None:
    stack = stack_on("a", "b")
    plan = replacing(stack, "a", "b")
    stack.world.down.add("a")
    outcome = stack.apply(plan)
    assert outcome is not None
    assert not outcome.ok
    done = {thing["address"] for thing in stack.world.things()}
    assert f'{RELAY}.rack["b"]' in done
    assert [r.id for r in stack.state.resources.values() if r.address.key == "b" and r.address.kind == RELAY] == [
        c.id_before for c in plan.changes if str(c.address) == f'{RELAY}.rack["b"]'
    ]
