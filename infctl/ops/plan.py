"""Owns making a plan from a stack as it is and the world as it is. Writes nothing but inference.lock.yaml.

Knows no flag: a Request says what is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from infctl import __version__
from infctl.diagnostics import Diagnostic, InfctlError, Severity
from infctl.frozen import dataclass
from infctl.ops.pins import Report, lookups_of, offers_of_world, settle_pins
from infctl.ops.reading import Hear, Placing, Readings
from infctl.ops.session import Session, source_values
from infctl.ops.spotting import Choices, choices_of, lowering, manners_of
from infctl.placement.place import Where
from infctl.plan.model import Mode, Plan, Step
from infctl.plan.placing import Elsewhere, Placed, place
from infctl.plan.planner import make_plan
from infctl.plan.refresh import refresh
from infctl.plan.request import Question, Request, TargetView
from infctl.plan.revisions import Assigned, assign
from infctl.provider import registry
from infctl.provider.values import Do, leaves
from infctl.secrets import SecretRef
from infctl.state.model import State
from infctl.state.moves import rename_model

if TYPE_CHECKING:
    from infctl.desired.settle import PinChange
    from infctl.desired.wanted import Wanted
    from infctl.ops.sized import Sized
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
    stack: Stack | None = None  # with what was decided filled in
    sized: Mapping[str, Sized] = field(default_factory=dict)
    choices: Choices | None = None  # where some models may live besides


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is known of the secrets that wishes use: the keyed digest of each that can be read now, why of the others.

    No value is in it.
    """

    used: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, tuple[Diagnostic, ...]] = field(default_factory=dict)


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
        wishes = settle_wishes(session, state, request, report, readings.finish)
    views = readings.finish()
    assigned = _assign(wishes.wanted, state, request)
    used = {leaf.name for w in assigned.deployments for leaf in leaves(w.template.env) if isinstance(leaf, SecretRef)}
    secrets = read_secrets(session, used)
    try:
        question = _question(session, views, assigned, wishes, state, secrets=secrets, request=request, moved=moved)
        placed = _place(session, question, assigned, wishes, hear)
        plan = make_plan(placed.question, placed.assigned.models)
    except InfctlError as failure:  # only what is wrong is looked up in the file
        raise InfctlError(*(_at_line(session, each) for each in failure.diagnostics)) from failure
    wanted = wishes.choices.build(placed.where) if placed.where and wishes.choices else wishes.wanted
    _refuse_what_cannot_start(plan, wanted)
    _refuse_what_costs_too_much(session, plan)
    if wishes.sized:
        plan = _with_decisions(session, plan, wishes, views, state)
    if wishes.stack is not None and any(model.gpus_needed for model in plan.models):
        from infctl.ops.gate import judge_starts

        plan = replace(plan, warnings=(*plan.warnings, *judge_starts(wishes.stack, plan, views, wishes.sized)))
    before = {name: value for name, value in state.outputs.items() if name in plan.outputs or plan.models}
    warnings = (*plan.warnings, *(said for name in needed_secrets(plan) for said in secrets.unreadable.get(name, ())))
    plan = replace(_with_memory(plan, wanted), outputs_before=before, warnings=warnings)
    plan = replace(plan, notes=(*plan.notes, *placed.notes, *_failed_before(plan, state, placed.assigned)))
    if look and plan.steps:
        from infctl.ops.rehearse import rehearse

        plan = replace(plan, warnings=(*plan.warnings, *rehearse(plan, session.providers, views)))
    return Planned(plan, state, wishes.pinned, views)


def settle_wishes(
    session: Session,
    state: State,
    request: Request,
    report: Report,
    look: Callable[[], Mapping[str, TargetView]],
) -> Wishes:
    """Return what the stack wants with everything pinned; a pin that is new is written where somebody is there.

    `look` returns the world: waited for only where something has to be decided by what there is.

    Raises InfctlError (lock-out-of-date, and all that is wrong with models).
    """
    stack = session.stack
    assert stack is not None  # noqa: S101  # asked by the caller
    from infctl.desired.build import build, engine_warnings
    from infctl.desired.lockfile import write_lock
    from infctl.desired.settle import refuse

    pins = settle_pins(
        stack,
        report,
        lookups=lambda: lookups_of(session),
        upgrade=request.upgrade,
        offers=lambda: offers_of_world(stack, state, request, look),
        env=session.where.env,
    )
    settled = pins.settled
    if stack.policies is not None:
        from infctl.desired.policies import break_by_pins

        if broken := tuple(break_by_pins(stack, settled.pins)):
            raise InfctlError(*broken)
    if settled.changes:
        if request.unattended:
            refuse(settled)
        write_lock(pins.path, settled.pins)
    now = where_now(state)
    wanted = build(pins.stack, pins.decisions, pins.every, now, pins.shares)
    warnings = (*stack.warnings, *pins.warnings, *engine_warnings(wanted))
    return Wishes(wanted, settled.changes, warnings, pins.stack, pins.sized, choices_of(pins, now))


def _renamed(session: Session, state: State) -> tuple[State, tuple[tuple[str, str], ...]]:
    """Return `state` with the file's `moved` applied, and the moves that were still to be made."""
    made = []
    for move in session.stack.moved if session.stack is not None else ():
        if move.from_ in state.models and move.to not in state.models:
            state = rename_model(state, move.from_, move.to)
            made.append((move.from_, move.to))
    return state, tuple(made)


def _failed_before(plan: Plan, state: State, assigned: Assigned) -> Iterator[str]:
    """Yield a sentence for each new revision whose spec failed its gate before."""
    for name in (model.name for model in plan.models if model.revision_after != model.revision_before):
        after, failure = assigned.models.get(name), state.models[name].failure if name in state.models else None
        specs = {entry.number: entry.spec_hash for entry in after.revisions} if after is not None else {}
        if after is not None and failure is not None and specs.get(after.revision) == failure.spec_hash:
            was = f"r{failure.revision} had the same spec, and failed at {failure.at}: {failure.reason}"
            yield f"{name} r{after.revision} may fail again: {was}"


def where_now(state: State) -> Where:
    """Return model -> target -> slots, of everything that has a slot: replicas, for of routes keys name the host.

    One object that stands for several replicas has the lowest slots.
    """
    found: dict[str, dict[str, list[int]]] = {}
    for thing in state.resources.values():
        _, slash, slot = thing.address.key.rpartition("/")
        if slash and slot.isdecimal() and not thing.deposed:
            found.setdefault(thing.model, {}).setdefault(thing.target, []).append(int(slot))
        elif not slash and thing.spec_hash and not thing.deposed:
            field = registry.load(thing.reach["type"]).kinds[thing.address.kind].count
            many = int(thing.values.get(field) or 0) if field else 0
            found.setdefault(thing.model, {}).setdefault(thing.target, []).extend(range(many))
    return found


def _assign(wanted: tuple[Wanted, ...], state: State, request: Request) -> Assigned:
    return assign(tuple((w.target, w.deployment) for w in wanted), state, request)


def _place(session: Session, question: Question, assigned: Assigned, wishes: Wishes, hear: Hear) -> Placed:
    """Return the question placed; where its targets have too little room, on further ones of the models' order."""
    choices, elsewhere = wishes.choices, None
    if choices is not None:
        state, request = question.state, question.request
        elsewhere = Elsewhere(choices.spares, lambda where: _assign(choices.build(where), state, request))
    return place(
        question, assigned, lowering(session, question.views), manners_of(session), elsewhere=elsewhere,
        tell=lambda _, done, total: hear(Placing(done, total)),
    )  # fmt: skip


def _question(
    session: Session,
    views: Mapping[str, TargetView],
    assigned: Assigned,
    wishes: Wishes,
    state: State,
    *,
    secrets: Secrets,
    request: Request,
    moved: tuple[tuple[str, str], ...],
) -> Question:
    """Return the question to be planned, before it is known where replicas run."""
    stack = session.stack
    declared = stack.secrets if stack is not None else ()  # all: an undo may need what no wish uses any more
    return Question(
        refresh(state, views),
        views,
        assigned.deployments,
        assigned.placed_on,
        (),
        request,
        {name: None for name, model in stack.models.items() if model.protect} if stack is not None else {},
        {name: source_values(session.secret_source(name)) for name in sorted({*secrets.used, *declared})},
        secrets.digests,
        moved,
        assigned.holds,
        wishes.warnings,
        __version__,
    )


def read_secrets(session: Session, names: set[str]) -> Secrets:
    """Return what is known of each secret now; one that cannot be read is compared when it is used."""
    if not names:
        return Secrets()
    read, key = session.secret_reader(), session.store.digest_key()
    digests: dict[str, str] = {}
    unreadable: dict[str, tuple[Diagnostic, ...]] = {}
    for name in sorted(names):
        try:
            digests[name] = read(name).digest(key)
        except InfctlError as problem:
            unreadable[name] = tuple(_as_warning(session, each) for each in problem.diagnostics)
    return Secrets(tuple(sorted(names)), digests, unreadable)


def _at_line(session: Session, problem: Diagnostic) -> Diagnostic:
    if session.stack is None or problem.span is not None or not problem.path:
        return problem
    return problem.at(session.stack.locate(problem.path))


def _as_warning(session: Session, problem: Diagnostic) -> Diagnostic:
    """Return why a secret cannot be read as what it is to a plan: apply, perhaps elsewhere, may be able to."""
    span = session.stack.locate(problem.path) if session.stack is not None and problem.path else None
    hint = f"{problem.hint}; until then apply refuses to start" if problem.hint else "until then apply refuses to start"
    summary = problem.summary.replace("cannot be had", "cannot be had now")
    return replace(problem, severity=Severity.WARNING, summary=summary, hint=hint).at(span)


def needed_secrets(plan: Plan) -> tuple[str, ...]:
    """Return the names of the secrets that the plan's steps deliver, each once."""
    found = (leaf for step in plan.steps for leaf in leaves(step.set or {}))
    return tuple(dict.fromkeys(leaf.name for leaf in found if isinstance(leaf, SecretRef)))


def _refuse_what_cannot_start(plan: Plan, wanted: tuple[Wanted, ...]) -> None:
    problems = {(w.deployment.model, w.target): w.cannot_start for w in wanted if w.cannot_start is not None}
    if not problems:
        return
    begun = {(step.model, step.target) for step in plan.steps if _starts(step)}
    met = tuple(problem for key, problem in problems.items() if key in begun and problem is not None)
    if met:
        raise InfctlError(*met)


def _refuse_what_costs_too_much(session: Session, plan: Plan) -> None:
    """Raise InfctlError (policy-broken). To take everything down is never too dear."""
    stack = session.stack
    if stack is None or stack.policies is None or plan.mode is not Mode.NORMAL:
        return
    from infctl.plan.policies import break_policies

    if broken := tuple(_at_line(session, each) for each in break_policies(stack.policies, plan.costs, plan.unpriced)):
        raise InfctlError(*broken)


def _starts(step: Step) -> bool:
    """Return whether a step starts an engine: a new one, or one that was stopped, which is why it has a reason."""
    return step.gate is not None and (step.do is Do.CREATE or (step.do is Do.UPDATE and bool(step.reason)))


def _with_decisions(
    session: Session, plan: Plan, wishes: Wishes, views: Mapping[str, TargetView], state: State
) -> Plan:
    """Return the plan with what each changed model is to do, beside what it owes, and a warning where that is less."""
    from infctl.ops.asking import offers_from
    from infctl.ops.sized import judge, missed
    from infctl.sizing.told import tell_promise

    stack = wishes.stack
    assert stack is not None  # noqa: S101  # it has the models that were sized
    offers, warnings, models = offers_from(stack, views, state), list(plan.warnings), []
    for model in plan.models:
        sized = wishes.sized.get(model.name) if model.replicas_after else None
        made = judge(stack, sized, model.name, offers, session.where.env) if sized is not None else None
        models.append(replace(model, decision=tell_promise(made.decision, made.asking.slo)) if made else model)
        if made is not None and (said := missed(stack, model.name, made)) is not None:
            warnings.append(said)
    notes = tuple(_other_parts({name: sized for name, sized in wishes.sized.items() if sized.more}, plan))
    return replace(plan, models=tuple(models), warnings=tuple(warnings), notes=(*plan.notes, *notes))


def _other_parts(sized: Mapping[str, Sized], plan: Plan) -> Iterator[str]:
    """Yield a sentence for each part of a changed model that runs otherwise than its first, on other devices."""
    for model in plan.models:
        for part in sized[model.name].more if model.name in sized and model.replicas_after else ():
            yield f"{model.name} on {part.target} was decided for what that has: {part.engine}, {part.decided}."


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
