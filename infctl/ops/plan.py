"""Owns making a plan from a stack as it is and the world as it is. Writes nothing but inference.lock.yaml.

Knows no flag: a Request says what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from infctl import __version__
from infctl.diagnostics import Diagnostic, InfctlError, Span
from infctl.ops.pins import Report, settle_pins
from infctl.ops.reading import Hear, Readings
from infctl.ops.session import Session, source_values
from infctl.plan.model import Mode, Plan, Step
from infctl.plan.planner import make_plan
from infctl.plan.refresh import refresh
from infctl.plan.request import Question, Request, TargetView
from infctl.plan.revisions import Assigned, assign
from infctl.provider.values import Desired, Do, TargetWant, leaves
from infctl.secrets import SecretRef
from infctl.state.model import State
from infctl.state.moves import rename_model

if TYPE_CHECKING:
    from infctl.desired.settle import PinChange
    from infctl.desired.wanted import Wanted
    from infctl.spec.stack import Stack


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what was done on the way: the state it is for, what was pinned anew, the world as it was read."""

    plan: Plan
    state: State
    pinned: tuple[PinChange, ...] = ()
    views: Mapping[str, TargetView] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a stack wants, before revisions: wishes with their pins settled."""

    wanted: tuple[Wanted, ...] = ()
    pinned: tuple[PinChange, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()


def plan_stack(
    session: Session,
    request: Request,
    *,
    look: bool = True,
    hear: Hear = lambda _event: None,
    report: Report = lambda _path, _done, _all: None,
) -> Planned:
    """Return the plan for what `request` asks. With `look` False the world is taken to be as state remembers it.

    Raises InfctlError with every problem found.
    """
    state, moved = _renamed(session, session.state())
    session.open_providers(state)
    readings = Readings(session, state, hear, look=look)
    wishes = Wishes()
    if session.stack is not None and request.mode is Mode.NORMAL:
        wishes = settle_wishes(session.stack, state, request, report)
    views = readings.finish()
    assigned = assign(tuple((w.target, w.deployment) for w in wishes.wanted), state, request)
    question = _question(session, state, views, assigned, wishes, request=request, moved=moved)
    plan = make_plan(question, assigned.models)
    _refuse_what_cannot_start(plan, wishes.wanted)
    before = {name: value for name, value in state.outputs.items() if name in plan.outputs or plan.models}
    return Planned(replace(_with_memory(plan, wishes.wanted), outputs_before=before), state, wishes.pinned, views)


def settle_wishes(stack: Stack, state: State, request: Request, report: Report) -> Wishes:
    """Return what `stack` wants with everything pinned; a pin that is new is written where somebody is there.

    Raises InfctlError (lock-out-of-date, and all that is wrong with models).
    """
    from infctl.desired.build import build, engine_warnings
    from infctl.desired.lockfile import write_lock
    from infctl.desired.settle import refuse

    pins = settle_pins(stack, report)
    settled = pins.settled
    if settled.changes:
        if request.unattended:
            refuse(settled)
        write_lock(pins.path, settled.pins)
    wanted = build(stack, pins.decisions, settled.pins, _where_now(state))
    warnings = (*stack.warnings, *engine_warnings(wanted))
    return Wishes(wanted, settled.changes, warnings)


def _renamed(session: Session, state: State) -> tuple[State, tuple[tuple[str, str], ...]]:
    """Return `state` with the file's `moved` applied, and the moves that were still to be made."""
    made = []
    for move in session.stack.moved if session.stack is not None else ():
        if move.from_ in state.models and move.to not in state.models:
            state = rename_model(state, move.from_, move.to)
            made.append((move.from_, move.to))
    return state, tuple(made)


def _where_now(state: State) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Return model -> target -> slots, of everything that has a slot."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for thing in state.resources.values():
        if "/" in thing.address.key and not thing.deposed:
            where = found.setdefault(thing.model, {})
            where[thing.target] = (*where.get(thing.target, ()), thing.address.slot)
    return found


def _question(
    session: Session,
    state: State,
    views: Mapping[str, TargetView],
    assigned: Assigned,
    wishes: Wishes,
    *,
    request: Request,
    moved: tuple[tuple[str, str], ...],
) -> Question:
    stack = session.stack
    declared = stack.secrets if stack is not None else ()  # all: an undo may need what no wish uses any more
    used = {leaf.name for w in assigned.deployments for leaf in leaves(w.template.env) if isinstance(leaf, SecretRef)}
    return Question(
        refresh(state, views),
        views,
        assigned.deployments,
        assigned.placed_on,
        _lower(session, views, assigned),
        request,
        _protected(stack) if stack is not None else {},
        {name: source_values(session.secret_source(name)) for name in sorted({*used, *declared})},
        digests_of(session, used),
        moved,
        assigned.holds,
        wishes.warnings,
        __version__,
    )


def _lower(session: Session, views: Mapping[str, TargetView], assigned: Assigned) -> tuple[Desired, ...]:
    by_target: dict[str, list[int]] = {}
    for index, target in enumerate(assigned.placed_on):
        by_target.setdefault(target, []).append(index)
    found: list[Desired] = []
    for target, indexes in by_target.items():
        want = TargetWant(target, tuple(assigned.deployments[i] for i in indexes))
        found += session.providers[target].lower(want, views[target].inventory)
    return tuple(found)


def _protected(stack: Stack) -> dict[str, Span | None]:
    return {name: stack.locate(f"models.{name}.protect") for name, model in stack.models.items() if model.protect}


def digests_of(session: Session, names: set[str]) -> dict[str, str]:
    """Return the keyed digest of each secret that can be read now; the others are compared when they are used."""
    if not names:
        return {}
    read, key = session.secret_reader(), session.store.digest_key()
    found = {}
    for name in sorted(names):
        try:
            found[name] = read(name).digest(key)
        except InfctlError:
            continue
    return found


def _refuse_what_cannot_start(plan: Plan, wanted: tuple[Wanted, ...]) -> None:
    problems = {(w.deployment.model, w.target): w.cannot_start for w in wanted if w.cannot_start is not None}
    if not problems:
        return
    begun = {(step.model, step.target) for step in plan.steps if _starts(step)}
    met = tuple(problem for key, problem in problems.items() if key in begun and problem is not None)
    if met:
        raise InfctlError(*met)


def _starts(step: Step) -> bool:
    """Return whether a step starts an engine: a new one, or one that was stopped, which is why it has a reason."""
    return step.do is Do.CREATE or (step.do is Do.UPDATE and bool(step.reason))


def _with_memory(plan: Plan, wanted: tuple[Wanted, ...]) -> Plan:
    """Return the plan with the parts of each changed model's memory, for whoever reads it."""
    if not plan.models:
        return plan
    needs = {w.deployment.model: w.need for w in wanted if w.need is not None}
    return replace(
        plan,
        models=tuple(
            replace(
                model,
                memory={
                    "weights": need.weights, "kv": need.kv, "compute": need.compute, "process": need.process,
                    "total": need.total, "exact": need.exact,
                },
            )
            if (need := needs.get(model.name)) is not None and model.template.get("memory") == need.total
            else model
            for model in plan.models
        ),
    )  # fmt: skip
