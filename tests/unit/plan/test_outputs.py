"""A model's addresses as outputs: all of them by target, the first that can be read as the one."""

from __future__ import annotations

import json

from infctl.plan.request import Request
from infctl.provider.values import Ref
from infctl.views.outputs import outputs_json
from infctl.views.plan_json import output_changes
from tests.property.fleets import Fleet, GpuWish
from tests.property.stacks import Wishes

ONE: Wishes = {"chat": GpuWish(1, gpus=1)}


def urls(stack: Fleet) -> tuple[str, ...]:
    state = stack.state
    return tuple(state.outputs["chat.urls"]["rack"])


def test_a_model_tells_its_address_on_each_host_and_the_first_as_its_own() -> None:
    stack = Fleet(200, gpus={"a": (80,), "b": (80,)})
    plan = stack.plan(ONE)
    assert [type(url) for url in plan.outputs["chat.urls"]["rack"]] == [Ref, Ref]
    changes = output_changes(plan)
    assert changes["chat.urls"]["after_unknown"]
    assert changes["chat.urls"]["after"] is None
    stack.apply(plan)
    assert len(urls(stack)) == 2
    assert stack.state.outputs["chat.url"] == urls(stack)[0]
    told = outputs_json(stack.state.outputs)["chat.urls"]
    assert told["type"] == ["map", ["list", "string"]]
    assert json.loads(json.dumps(told["value"])) == {"rack": list(urls(stack))}


def test_the_address_of_a_host_that_cannot_be_read_is_kept_but_not_the_first() -> None:
    stack = Fleet(200, gpus={"a": (80,), "b": (80,)})
    stack.apply(stack.plan(ONE))
    before = urls(stack)
    stack.world.down.add("a")
    plan = stack.plan(ONE, Request(allow_unreachable=True))
    assert plan.outputs["chat.urls"] == {"rack": before}
    assert plan.outputs["chat.url"] == before[1]
    assert plan.outputs["chat.revision"] == stack.state.outputs["chat.revision"]
    stack.world.down.clear()
    assert stack.plan(ONE).outputs["chat.url"] == before[0]
