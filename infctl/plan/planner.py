"""Owns the making of a plan: a pure function from a question to a plan. The same question gives the same plan.

Knows providers only as TargetViews; reads nothing, prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from infctl.diagnostics import Code, InfctlError, error
from infctl.placement.room import Rollout
from infctl.plan.book import Book, Key
from infctl.plan.compare import Verdict, referred
from infctl.plan.cost import costs, sources, unpriced
from infctl.plan.course import Course, ModelVerdicts, choose
from infctl.plan.model import Action, Mode, Plan, TargetRef
from infctl.plan.promised import room_of
from infctl.plan.refresh import refresh_only
from infctl.plan.refusals import refuse
from infctl.plan.request import Question
from infctl.plan.rollout import write_removals, write_steps, write_waits
from infctl.plan.statements import (
    assumptions,
    drifted,
    model_change,
    model_states,
    moves,
    notes,
    outputs,
    resource_change,
)
from infctl.plan.turns import Turn, come_first, take_turns, turns, with_turns
from infctl.plan.weigh import weigh
from infctl.provider.kinds import Role
from infctl.provider.values import Do, refs
from infctl.state.model import ModelState

PROTECTED = Code(
    "protected",
    "The plan would take down a model that the file protects.",
    "Remove `protect: true` from the model if this is meant.",
)
_TAKES_DOWN = frozenset({Action.DELETE, Action.REPLACE})


def make_plan(question: Question, models: Mapping[str, ModelState] | None = None) -> Plan:
    """Return the plan for `question`. `models` is what state will say of each model (`revisions.assign`).

    Raises InfctlError: unreachable, state-lost, unmatched-target, protected, no-room; every problem at once.
    """
    refuse(question)
    if question.request.mode is Mode.REFRESH_ONLY:
        return refresh_only(question)
    question, reinstated, world, verdicts, parts = weigh(question)
    room = room_of(question.views, question.state.resources.values())
    noop = Action.NOOP
    busy = [verdict for verdict in verdicts if verdict.action is not noop]  # thousands that are not cost little
    names = {verdict.model for verdict in busy}
    moving = tuple(part for name, part in parts.items() if name in names)
    courses, problems = choose(moving, room)
    taken = turns(busy, moving, question)
    courses = {part.name: with_turns(courses[part.name], part, taken) for part in moving}
    for part in moving:
        if part.name in question.protected:
            problems += _protect(part, courses[part.name], question)
    if problems:
        raise InfctlError(*problems)
    book = _booked(verdicts, busy, moving, courses, taken)
    changed = tuple(resource_change(_as_done(verdict, courses), question) for verdict in busy)
    gone = tuple(v.have.id for v in busy if v.have and not v.live and not v.unknown)
    states, forgotten = model_states(question, models or {}, verdicts)
    return Plan(
        lineage=question.state.lineage,
        serial=question.state.serial,
        stack=question.state.stack,
        workspace=question.state.workspace,
        infctl_version=question.infctl_version,
        mode=question.request.mode,
        targets=tuple(TargetRef(v.name, v.type, v.config) for _, v in sorted(question.views.items())),
        resource_changes=changed,
        steps=book.steps(),
        models=tuple(model_change(part, courses[part.name], question) for part in moving if moves(part)),
        model_states=states,
        forgotten_models=forgotten,
        forget=gone,
        refreshed=tuple(thing for thing in reinstated if thing.id not in gone),
        moved=question.moved,
        drift=drifted(question.state, world),
        assumptions=assumptions(question, moving, courses),
        holds=question.holds,
        notes=notes(question, verdicts),
        unreachable=tuple(u for _, v in sorted(question.views.items()) for u in v.unreadable),
        warnings=question.warnings,
        outputs=outputs(parts, question.state.outputs),
        protected=tuple(sorted(question.protected)),
        secrets=question.secrets,
        costs=costs(verdicts, question.views),
        priced=sources(question.views),
        unpriced=unpriced(verdicts, question.views),
    )


def _booked(
    verdicts: Sequence[Verdict],
    busy: Sequence[Verdict],
    moving: Sequence[ModelVerdicts],
    courses: Mapping[str, Course],
    taken: Sequence[Turn],
) -> Book:
    """Return every step of the plan, with what each needs to be done before."""
    book = Book()
    book.ids.update({v.address: v.id for v in verdicts if v.want is not None})
    _write_support(busy, book)
    told = take_turns(taken, book)
    for part in moving:
        write_steps(part, courses[part.name], book)
    come_first(told, book)
    write_waits(moving, courses, book)
    write_removals(moving, book)
    if book.needs:
        _link(verdicts, book, frozenset(told.values()))
    return book


def _as_done(verdict: Verdict, courses: Mapping[str, Course]) -> Verdict:
    """Return the verdict as its model's course carries it out: without room the old object leaves first."""
    course = courses.get(verdict.model)
    swapped = course is not None and course.rollout is Rollout.SWAP and verdict.action is Action.REPLACE_BESIDE
    return replace(verdict, action=Action.REPLACE) if swapped else verdict


def _protect(part: ModelVerdicts, course: Course, question: Question) -> list[Any]:
    removed = any(v.action is Action.DELETE for v in part.replicas) and not any(v.want for v in part.replicas)
    if not removed and not course.downtime:
        return []
    what = "destroyed" if removed else "replaced with downtime"
    return [
        error(
            PROTECTED,
            f"{part.name} is protected and would be {what}",
            "protected here",
            hint=PROTECTED.remedy,
            span=question.protected[part.name],
            path=f"models.{part.name}.protect",
            address=f"model.{part.name}",
        )
    ]


# ---------------------------------------------------------------- steps of what belongs to no model, and edges


def _write_support(verdicts: Sequence[Verdict], book: Book) -> None:
    for verdict in verdicts:
        if (verdict.model and verdict.kind.role is not Role.SUPPORT) or verdict.action is Action.FORGET:
            continue
        if verdict.action is Action.CREATE:
            book.create(verdict, timeout=60.0, ids=book.ids)
        elif verdict.action is Action.UPDATE:
            book.update(verdict, timeout=60.0, ids=book.ids)
        elif verdict.have is not None:
            seen = verdict.live.fingerprint if verdict.live else ""
            revive = verdict.action is not Action.DELETE
            gone = book.delete(verdict.have, seen=seen, timeout=60.0, revive=revive, reason=verdict.reason)
            if verdict.want is not None:
                book.create(verdict, {gone}, timeout=60.0, ids=book.ids)


def _link(verdicts: Sequence[Verdict], book: Book, told: AbstractSet[Key]) -> None:
    """Add the edges that refs make: what is referred to is made first, and removed last.

    Those `told` refer to what stands when their turn comes.
    """
    made = book.keys_of(Do.CREATE, Do.UPDATE)
    standing = book.keys_of(Do.CREATE, Do.UPDATE, Do.SWITCH)
    leaving = book.keys_of(Do.DELETE)
    lost = {verdict.id for verdict in verdicts if verdict.is_lost}
    support = {verdict.address for verdict in verdicts if verdict.kind.role is Role.SUPPORT}
    for verdict in verdicts:
        if verdict.want is not None and verdict.id in standing:
            *on_the_way, last = standing[verdict.id]
            for address in referred(verdict.values):
                needed = set(made.get(book.ids.get(address, ""), ())) - {last}
                book.needs[last] |= needed
                if address in support:  # of replicas they wait for their own wave only
                    for key in (each for each in on_the_way if each not in told):
                        book.needs[key] |= needed
        if verdict.want is None and verdict.have is not None and verdict.have.id in leaving:
            held = (ref.id for ref in refs(verdict.have.values) if ref.id not in lost)  # these go before all else
            for key in (key for ident in held for key in leaving.get(ident, [])):
                book.needs[key].update(leaving[verdict.have.id])
            if verdict.kind.role is Role.SUPPORT and not verdict.model:  # what all stand on goes when all are gone
                book.needs[leaving[verdict.have.id][0]].update(_gone_before(verdict, verdicts, leaving))


def _gone_before(support: Verdict, verdicts: Sequence[Verdict], leaving: Mapping[str, list[Key]]) -> Iterable[Key]:
    for verdict in verdicts:
        if verdict.model and verdict.target == support.target and verdict.have is not None:
            yield from leaving.get(verdict.have.id, ())
