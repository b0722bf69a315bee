"""A target without a provider: kinds, wishes and a world that carries out plans as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from infctl.address import Address
from infctl.diagnostics import Span
from infctl.plan.diff import resolve
from infctl.plan.model import Plan
from infctl.plan.planner import make_plan
from infctl.plan.refresh import refresh
from infctl.plan.request import Question, Request, TargetView
from infctl.plan.revisions import assign
from infctl.provider.kinds import FieldSpec, KindSpec, Role
from infctl.provider.values import (
    Deployment,
    Desired,
    Do,
    Inventory,
    Labels,
    Observed,
    Place,
    Ref,
    Template,
    Unreadable,
)
from infctl.state.model import ModelState, Resource, State

KINDS = {
    "toy_engine": KindSpec(
        Role.REPLICA,
        {
            "args": FieldSpec(forces_replace="engine args are read at start"),
            "env": FieldSpec(forces_replace="the environment is read at start"),
            "memory": FieldSpec(forces_replace="memory is promised at start"),
            "note": FieldSpec(),
            "port": FieldSpec(),
        },
        outputs=("url",),
        gated=True,
        exclusive="port",
    ),
    "toy_route": KindSpec(
        Role.ROUTER,
        {"names": FieldSpec(), "backends": FieldSpec(), "relay": FieldSpec()},
        outputs=("url",),
        backends="backends",
        url_output="url",
    ),
    "toy_relay": KindSpec(Role.SUPPORT, {}, outputs=("socket",)),
}


Wish = tuple[str, Deployment]


def template(**args: object) -> Template:
    return Template("toy", "1", "file:m", "abc", "generate", args=args, memory=10)


def wish(model: str = "chat", replicas: int = 1, *, target: str = "here", **args: object) -> Wish:
    return target, Deployment(model, 0, template(**args), tuple(range(replicas)), (model,))


def lower(placed: Iterable[Wish]) -> tuple[Desired, ...]:
    found: list[Desired] = []
    targets: dict[str, None] = {}
    for target, each in placed:
        targets[target] = None
        engines = [Address("toy_engine", each.model, f"{target}/{slot}") for slot in each.slots]
        values = {"args": each.template.args, "env": each.template.env, "memory": each.template.memory, "note": ""}
        values["port"] = each.template.port
        found += (Desired(a, target, values, each.model, each.revision, each.spec_hash) for a in engines)
        route = {
            "names": each.served_names,
            "backends": tuple({"url": Ref(a, "url"), "weight": 1} for a in engines),
            "relay": Ref(Address("toy_relay", target), "socket"),
        }
        found.append(Desired(Address("toy_route", each.model, target), target, route, each.model))
    return (*(Desired(Address("toy_relay", target), target, {}) for target in targets), *found)


@dataclass
class Toy:
    """State and world; `plan` asks, `carry_out` does what the plan says, without a gate ever failing."""

    state: State = field(default_factory=lambda: State("lineage", "acme"))
    live: dict[str, Observed] = field(default_factory=dict)
    free: int = 1000
    lowering: int = 1
    unreadable: tuple[Unreadable, ...] = ()

    def question(
        self,
        *wishes: Wish,
        request: Request | None = None,
        protected: Mapping[str, Span | None] | None = None,
    ) -> tuple[Question, Mapping[str, ModelState]]:
        request = request or Request()
        assigned = assign(wishes, self.state, request)
        targets = {"here", *assigned.placed_on, *(thing.target for thing in self.state.resources.values())}
        views = {
            name: TargetView(
                name, "toy", {}, KINDS, self.lowering, Inventory((Place("host", 4, 1000, self.free),)),
                tuple(seen for seen in self.live.values() if seen.target == name), self.unreadable,
            )
            for name in sorted(targets)
        }  # fmt: skip
        placed = tuple(zip(assigned.placed_on, assigned.deployments, strict=True))
        question = Question(
            refresh(self.state, views), views, assigned.deployments, assigned.placed_on, lower(placed), request,
            holds=assigned.holds, protected=protected or {},
        )  # fmt: skip
        return question, assigned.models

    def plan(
        self,
        *wishes: Wish,
        request: Request | None = None,
        protected: Mapping[str, Span | None] | None = None,
    ) -> Plan:
        question, models = self.question(*wishes, request=request, protected=protected)
        return make_plan(question, models)

    def carry_out(self, plan: Plan) -> None:
        resources = {k: v for k, v in self.state.resources.items() if k not in plan.forget}
        resources.update({thing.id: thing for thing in plan.refreshed})
        for step in plan.steps:
            if step.do is Do.DELETE:
                self.live.pop(step.object, None)
                resources.pop(step.object, None)
            elif step.do in {Do.CREATE, Do.UPDATE, Do.SWITCH}:
                outputs = {i: seen.outputs for i, seen in self.live.items()}
                seen = Observed(
                    step.address, step.object, step.name, step.target, resolve(step.set, outputs, {}),
                    {"url": f"http://{step.object}", "socket": "s"}, self.labels(step.object, step.address),
                )  # fmt: skip
                self.live[step.object] = seen
                if step.replaces:
                    resources[step.replaces] = replace(resources[step.replaces], deposed=True)
                resources[step.object] = Resource(
                    step.address, step.object, step.name, step.target, step.model, step.revision, step.spec_hash,
                    step.set or {}, seen.outputs, lowering=step.lowering, inputs=step.inputs,
                )  # fmt: skip
        models = {**self.state.models, **{m.name: m for m in plan.model_states}}
        for name in plan.forgotten_models:
            models.pop(name, None)
        serial = self.state.serial + 1
        self.state = replace(self.state, serial=serial, resources=resources, models=models)

    def labels(self, ident: str, address: Address) -> Labels:
        return Labels(ident, "lineage", "acme", "default", str(address), "", 0, "", 1)
