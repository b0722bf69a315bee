"""One Deployment that stands for several replicas, in plans: scaled in place, replaced beside, counted in GPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.diagnostics import InfctlError
from infctl.placement.room import Rollout
from infctl.plan.diff import resolve
from infctl.plan.model import Plan
from infctl.plan.planner import make_plan
from infctl.plan.request import Question, TargetView
from infctl.plan.revisions import assign
from infctl.provider.values import Deployment, Device, Do, Inventory, Labels, Observed, Place, TargetWant, Template
from infctl.state.model import Resource, State
from infctl_kubernetes.kinds import KINDS
from infctl_kubernetes.lower import Estate, lower
from infctl_kubernetes.pod import Grounds

TEMPLATE = Template("custom", "", "", "", "custom", "serve@sha256:0", ("serve",), gpus=2)
ESTATE = Estate("acme", "default", "models", ours=False, grounds=Grounds())


def plan(replicas: int, free: int, state: State | None = None, live: tuple[Observed, ...] = (), **args: Any) -> Plan:
    """Return the plan for so many replicas of two GPUs each, on a node with so many free ones."""
    state = state or State("lineage", "acme")
    wish = Deployment("chat", 0, replace(TEMPLATE, args=args), tuple(range(replicas)), ("chat",))
    assigned = assign((("prod", wish),), state, Question(state, {}).request)
    devices = tuple(Device(i, f"n/{i}", "H100", 80 << 30, 80 << 30, taken=i >= free) for i in range(8))
    have = Inventory((Place("n", 8, 1 << 40, 1 << 40, devices, price=2.0),))
    view = TargetView("prod", "kubernetes", {}, KINDS, 1, have, live)
    desired = lower(TargetWant("prod", assigned.deployments), ESTATE)
    question = Question(state, {"prod": view}, assigned.deployments, assigned.placed_on, desired)
    return make_plan(question, assigned.models)


def carried_out(made: Plan) -> tuple[State, tuple[Observed, ...]]:
    """Return the state and the world once everything of a first plan stands."""
    live: dict[str, Observed] = {}
    things: dict[str, Resource] = {}
    for step in made.steps:
        outputs = {i: seen.outputs for i, seen in live.items()}
        labels = Labels(step.object, "lineage", "acme", "default", str(step.address), step.model, step.revision, "", 1)
        said = {
            "name": step.name,
            "namespace": "models",
            "uid": step.object,
            "selector": step.object,
            "url": "http://x",
        }
        values = resolve(step.set, outputs, {})
        live[step.object] = Observed(step.address, step.object, step.name, "prod", values, said, labels)
        things[step.object] = Resource(
            step.address, step.object, step.name, "prod", step.model, step.revision, step.spec_hash, step.set or {},
            said, {"type": "kubernetes", "config": {}}, ready=True, lowering=1, inputs=step.inputs,
        )  # fmt: skip
    models = {model.name: model for model in made.model_states}
    return State("lineage", "acme", resources=things, models=models), tuple(live.values())


def done(made: Plan) -> list[tuple[str, str]]:
    return [(step.do.value, step.address.kind.removeprefix("kubernetes_")) for step in made.steps]


def test_the_first_apply_makes_one_deployment_and_counts_its_replicas() -> None:
    made = plan(3, 8)
    assert done(made) == [
        ("create", "service_account"), ("create", "deployment"), ("create", "disruption_budget"), ("create", "service"),
    ]  # fmt: skip
    (model,) = made.models
    assert (model.replicas_after, model.where) == (3, {"prod": 3})
    assert [step.name for step in made.steps if step.gate] == ["acme-chat-r1"]
    assert made.costs[0].after == 12.0


def test_no_room_is_said_in_gpus() -> None:
    with pytest.raises(InfctlError) as caught:
        plan(3, 5)
    (said,) = caught.value.diagnostics
    assert (said.code, said.detail) == ("no-room", "needs 6 GPUs, 5 GPUs are free")


def test_what_stands_is_scaled_in_place() -> None:
    state, live = carried_out(plan(2, 8))
    assert done(plan(2, 4, state, live)) == []
    made = plan(3, 4, state, live)
    assert done(made) == [("update", "deployment")]
    assert (made.models[0].replicas_before, made.models[0].replicas_after) == (2, 3)


@pytest.mark.parametrize(("free", "rollout"), [(4, Rollout.SURGE), (3, Rollout.SWAP)])
def test_a_new_revision_comes_beside_the_old_where_gpus_are_free_for_it(free: int, rollout: Rollout) -> None:
    state, live = carried_out(plan(2, 8))
    made = plan(2, free, state, live, seed=1)
    assert made.models[0].rollout is rollout
    steps = [step for step in made.steps if step.address.kind == "kubernetes_deployment"]
    order = [step.do for step in steps]
    surge = [Do.CREATE, Do.DRAIN, Do.DELETE]
    assert order == (surge if rollout is Rollout.SURGE else [Do.DRAIN, Do.DELETE, Do.CREATE])
    assert made.models[0].downtime is (rollout is Rollout.SWAP)


def test_what_follows_a_new_revision_is_changed_after_it() -> None:
    state, live = carried_out(plan(1, 8))
    steps = plan(1, 8, state, live, seed=1).steps
    budget = next(step for step in steps if step.address.kind == "kubernetes_disruption_budget")
    made = next(step for step in steps if step.do is Do.CREATE)
    assert (budget.do, made.id in budget.needs) == (Do.UPDATE, True)
