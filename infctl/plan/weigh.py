"""Owns the weighing of a question: one verdict for every address and every leftover, sorted by model.

Pure. What follows from the verdicts is `planner`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from infctl.address import Address
from infctl.frozen import replace
from infctl.plan.compare import Verdict, World, judge, judge_stranger, judge_unwanted, referred
from infctl.plan.course import ModelVerdicts
from infctl.plan.evacuate import give_up
from infctl.plan.model import Action
from infctl.plan.refresh import reinstate
from infctl.plan.request import Question
from infctl.plan.rollout import with_backends
from infctl.plan.selection import Candidate, select, to_replace
from infctl.provider.kinds import Role
from infctl.provider.values import Desired
from infctl.state.model import Resource

_RANK = {Role.SUPPORT: 0, Role.REPLICA: 1, Role.ROUTER: 2}


class Weighed(NamedTuple):
    """A question with its verdicts. `reinstated` are the resources that state must say differently for them."""

    question: Question
    reinstated: tuple[Resource, ...]
    world: World
    verdicts: list[Verdict]
    parts: Mapping[str, ModelVerdicts]


def weigh(question: Question) -> Weighed:
    """Return the verdicts on `question`. Raises InfctlError (unmatched-target)."""
    question, lost = give_up(question)
    question, reinstated = reinstate(question)
    world = World(question)
    verdicts = _judge_all(question, world)
    chosen = _selected(question, verdicts)
    if chosen is not None:
        verdicts = [v if v.address in chosen else _untouched(v) for v in verdicts]
    verdicts = _served(verdicts)
    return Weighed(question, (*lost, *reinstated), world, verdicts, _by_model(verdicts, world))


def _judge_all(question: Question, world: World) -> list[Verdict]:
    """Return a verdict for every address and every leftover, what others refer to before those who do."""
    request = question.request
    replaced = to_replace(_candidates(question), request) if request.replace or request.restart else frozenset()
    ranks = {(t, name): _RANK[kind.role] for t, view in question.views.items() for name, kind in view.kinds.items()}

    def rank(want: Desired) -> int:
        own = ranks[want.target, want.address.kind]
        if want.model and own == _RANK[Role.SUPPORT]:  # support of a model may hold refs to its replicas
            return max(own, *(ranks.get((want.target, address.kind), own) for address in referred(want.values)), own)
        return own

    ranked = sorted(question.desired, key=rank)
    wanted: set[Address] = set()
    verdicts = []
    for want in ranked:
        verdict = judge(want, world, replaced)
        wanted.add(want.address)
        if verdict.id:
            world.ids[want.address] = verdict.id
        verdicts.append(verdict)
    unwanted = (*(thing for address, thing in world.current.items() if address not in wanted), *world.deposed)
    verdicts += (judge_unwanted(have, world) for have in unwanted)
    verdicts += (judge_stranger(view, seen) for view, seen in world.strangers)
    return verdicts


def _candidates(question: Question) -> Iterable[Candidate]:
    wanted = {want.address for want in question.desired}
    left = (have for have in question.state.resources.values() if have.address not in wanted)
    every: tuple[Desired | Resource, ...] = (*question.desired, *left)
    before = {have.address: referred(have.values) for have in question.state.resources.values()}
    for thing in every:
        role = question.views[thing.target].kinds[thing.address.kind].role
        yield Candidate(
            thing.address, thing.model, thing.target, referred(thing.values), before.get(thing.address, ()),
            routes=role is Role.ROUTER, replica=role is Role.REPLICA,
        )  # fmt: skip


def _selected(question: Question, verdicts: list[Verdict]) -> frozenset[Address] | None:
    """Return the chosen addresses, or None when all are."""
    request = question.request
    if not request.targets and not request.excludes:
        return None
    chosen = select(_candidates(question), request)
    shared = {v.address for v in verdicts if v.want is None and v.kind.role is Role.SUPPORT and not v.model}
    users = {a for v in verdicts if v.address not in chosen and v.have for a in referred(v.have.values)}
    return chosen - (shared & users)  # what others still stand on outlives a partial removal


def _untouched(verdict: Verdict) -> Verdict:
    have = verdict.have
    return replace(
        verdict, action=Action.NOOP, fields=(), unknown=True,
        id=have.id if have else "", want=verdict.want if have else None,
    )  # fmt: skip


def _served(verdicts: list[Verdict]) -> list[Verdict]:
    """Return the verdicts, their routers without the replicas that are neither there nor made by this plan."""
    unmade = {v.address for v in verdicts if v.unknown and not v.id}
    return [
        replace(v, values=with_backends(v, {}, unmade)) if unmade and v.kind.role is Role.ROUTER and v.want else v
        for v in verdicts
    ]


def _by_model(verdicts: list[Verdict], world: World) -> dict[str, ModelVerdicts]:
    """Return each model's verdicts by part, models in the order of the file, then those only state knows."""
    sorted_out: dict[str, tuple[list[Verdict], list[Verdict], list[Verdict]]] = {}
    router, support = Role.ROUTER, Role.SUPPORT
    for verdict in verdicts:
        if not verdict.model or verdict.kind.role is support:
            continue
        if (found := sorted_out.get(verdict.model)) is None:
            found = sorted_out[verdict.model] = ([], [], [])
        replicas, routers, leftovers = found
        if verdict.have is not None and verdict.have.deposed:
            leftovers.append(verdict)
        elif verdict.kind.role is router:
            routers.append(verdict)
        else:
            replicas.append(verdict)
    wishes: dict[str, dict[str, Any]] = {}
    for (target, model), wish in world.deployments.items():
        wishes.setdefault(model, {})[target] = wish
    return {
        name: ModelVerdicts(name, tuple(replicas), tuple(routers), tuple(leftovers), wishes.get(name, {}))
        for name, (replicas, routers, leftovers) in sorted_out.items()
    }
