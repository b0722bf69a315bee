"""Rollouts on hosts with devices: what stands beside the old, what rolls, what is swapped, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infctl.diagnostics import InfctlError
from infctl.placement.room import Rollout
from infctl.plan.model import Plan
from infctl.plan.request import Request
from infctl.provider.values import Do
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes
from tests.unit.plan.test_places import applied, codes, fleet

GIB = 1024**3


def changed(stack: Fleet, wish: GpuWish, **more: GpuWish) -> Plan:
    """Return the plan that replaces every replica of `wish`, once it has been converged to."""
    before: Wishes = {"chat": wish}
    applied(stack, before)
    plan = stack.plan({"chat": replace(wish, variant=1), **more})
    again = stack.apply(plan)
    assert again is not None
    assert again.ok, again.failures
    stack.converged({"chat": replace(wish, variant=1), **more})
    return plan


def test_with_free_devices_the_new_stand_beside_the_old() -> None:
    plan = changed(fleet(2, 2), GpuWish(2, gpus=1))
    assert plan.models[0].rollout is Rollout.SURGE
    assert not plan.models[0].downtime
    assert (plan.models[0].gpus_needed, plan.models[0].gpus_free) == (2, 2)


def test_with_one_free_device_they_roll_through_it() -> None:
    plan = changed(fleet(2, 2), GpuWish(3, gpus=1))
    model = plan.models[0]
    assert (model.rollout, model.why_rollout) == (
        Rollout.ROLLING,
        "room for 1 beside the old: 3 GPUs needed, 1 free",
    )


def test_without_a_free_device_each_takes_the_place_of_its_predecessor() -> None:
    stack = fleet(2, 2)
    plan = changed(stack, GpuWish(4, gpus=1))
    model = plan.models[0]
    assert (model.rollout, model.why_rollout) == (
        Rollout.SWAP,
        "no room beside the old: 4 GPUs needed, 0 free",
    )
    assert not model.downtime


def test_many_devices_of_one_replica_are_of_one_host() -> None:
    stack = fleet(3, 4)
    applied(stack, {"chat": GpuWish(1, gpus=4)})
    ((host, devices),) = stack.spots("chat").values()
    assert (host, len(devices)) == ("b", 4)


def test_what_comes_waits_for_what_leaves_its_device() -> None:
    stack = fleet(1)
    applied(stack, {"chat": GpuWish(1, gpus=1)})
    plan = applied(stack, {"embed": GpuWish(1, gpus=1)})
    gone = next(s.id for s in plan.steps if s.do is Do.DELETE and s.address.kind == "fake_process")
    made = next(s for s in plan.steps if s.do is Do.CREATE and s.address.kind == "fake_process")
    assert gone in made.needs


def test_a_stopped_replica_whose_device_somebody_took_goes_elsewhere() -> None:
    stack = fleet(1, 1)
    wishes: Wishes = {"chat": GpuWish(1, gpus=1)}
    applied(stack, wishes)
    ((host, _),) = stack.spots("chat").values()
    thing = next(t for t in stack.world.things() if t["address"].startswith("fake_process"))
    stack.world.put({**thing, "running": False})
    stack.others = {f"{host}-gpu0": 40}
    applied(stack, wishes)
    assert {place for place, _ in stack.spots("chat").values()} == {"a", "b"} - {host}
    stack.converged(wishes)


def test_a_replica_asked_to_be_replaced_stands_beside_where_it_can() -> None:
    stack = fleet(1, 1)
    wishes: Wishes = {"chat": GpuWish(1, gpus=1)}
    applied(stack, wishes)
    plan = applied(stack, wishes, Request(restart=("chat",)))
    assert plan.models[0].rollout is Rollout.SURGE
    stack.converged(wishes)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (GpuWish(1, gpus=3), ["needs 3 GPUs of one host whole and 0.00 GiB of memory", "a: 1 of its 1 GPUs free"]),
        (GpuWish(2, gpus=1, share=60), ["each needs", "a: none of its 1 GPUs with"]),
        (GpuWish(1, memory=300, gpus=1), ["needs 1 GPU whole", "b: 0.0 GiB of memory free"]),
    ],
)
def test_no_room_says_what_each_host_lacks(wish: GpuWish, said: list[str]) -> None:
    stack = fleet(1, 2)
    stack.others = {"a-gpu0": 40}
    if wish.gpus == 3:
        stack.others = {}
    with pytest.raises(InfctlError) as caught:
        stack.plan({"chat": replace(wish, replicas=5 if wish.share else wish.replicas)})
    assert codes(caught) == ["no-room"]
    found = caught.value.diagnostics[0]
    assert all(any(line.startswith(words) for line in found.detail.splitlines()) for words in said), found.detail
    assert "another host" in found.hint


def test_each_model_without_room_is_told_once() -> None:
    with pytest.raises(InfctlError) as caught:
        fleet(1).plan({"chat": GpuWish(3, gpus=1), "embed": GpuWish(2, gpus=1)})
    assert [each.summary for each in caught.value.diagnostics] == [
        "rack has no room for 2 replicas of chat",
        "rack has no room for 2 replicas of embed",
    ]


def test_devices_of_several_islands_are_told_where_no_island_is_large_enough() -> None:
    stack = fleet(4)
    stack.islands = {f"a-gpu{index}": "xy"[index // 2] for index in range(4)}
    said = "GPUs of chat on a are of several islands of NVLink: between these they talk over the bus."
    assert stack.plan({"chat": GpuWish(1, gpus=4)}).notes == (said,)
    wishes: Wishes = {"chat": GpuWish(2, gpus=2)}
    assert applied(stack, wishes).notes == ()
    assert sorted(devices for _, devices in stack.spots("chat").values()) == [
        (("a-gpu0", 0), ("a-gpu1", 0)), (("a-gpu2", 0), ("a-gpu3", 0)),
    ]  # fmt: skip
