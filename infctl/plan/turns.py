"""Owns what addresses stand on when it is replaced: one place after the other, so that not all are away at once.

A router whose support at its own place is made anew (the proxy of a host) answers nobody until it is told to the new
one. It is told as soon as that stands, as it was, and only then the next place has its turn. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from infctl.address import Address
from infctl.plan.book import Book, Key
from infctl.plan.compare import Verdict, referred
from infctl.plan.course import Course, ModelVerdicts
from infctl.plan.model import Action
from infctl.plan.request import Question
from infctl.plan.rollout import drain_timeout, with_backends
from infctl.provider.kinds import Role
from infctl.provider.values import Do


class Turn(NamedTuple):
    """A support that is replaced, and the standing routers of its place that lean on it, each with its model."""

    support: Verdict
    routers: tuple[tuple[Verdict, ModelVerdicts], ...]


def turns(verdicts: Sequence[Verdict], models: Sequence[ModelVerdicts], question: Question) -> tuple[Turn, ...]:
    """Return the turns of a plan, in order of their addresses."""
    replaced = [v for v in verdicts if v.kind.role is Role.SUPPORT and not v.model and v.action is Action.REPLACE]
    leaning = [
        Turn(support, tuple((router, model) for model in models for router in _leaning(support, model, question)))
        for support in sorted(replaced, key=lambda verdict: verdict.address)
    ]
    return tuple(turn for turn in leaning if turn.routers)


def _leaning(support: Verdict, model: ModelVerdicts, question: Question) -> Iterator[Verdict]:
    for router in model.routers:
        if router.live and router.action is Action.UPDATE and support.address in referred(router.values):
            view = question.views[router.target]
            if view.place_of(router.address, router.values) == view.place_of(support.address, support.values):
                yield router


def take_turns(taken: Sequence[Turn], book: Book) -> dict[str, Key]:
    """Have each support go only when the routers of the one before are told to its successor.

    Call it when the steps of supports are written and those of models are not. Returns the steps that tell, by the
    router's id: whatever else is done to it comes later, and what they refer to elsewhere may still be the old.
    """
    told: dict[str, Key] = {}
    created, deleted = book.keys_of(Do.CREATE), book.keys_of(Do.DELETE)
    old = {turn.support.address: turn.support.have.id for turn in taken if turn.support.have}
    before: set[Key] = set()
    for support, routers in taken:
        del old[support.address]
        made = created[support.id][0]
        if support.have is not None:
            book.needs[deleted[support.have.id][0]] |= before
        before = {made}
        for router, model in routers:
            told[router.id] = _tell(router, model, made, old, book)
            before.add(told[router.id])
    return told


def _tell(router: Verdict, model: ModelVerdicts, made: Key, old: dict[Address, str], book: Book) -> Key:
    """Add the switch of a router to the support that was just made: its replicas are those that stand now."""
    standing = {v.address: v.have.id for v in model.replicas if v.have and v.live}
    nobody = {v.address for v in model.replicas if not v.live}
    values = with_backends(router, {**book.ids, **old, **standing}, nobody)
    # Without an undo: should the model's rollout go back, its address still has to be told to what stands.
    return book.update(
        router, {made}, do=Do.SWITCH, values=values, timeout=drain_timeout(model, router), ids=book.ids, lasting=True
    )


def come_first(told: dict[str, Key], book: Book) -> None:
    """Have every other switch of a router come after the one that told it."""
    switches = book.keys_of(Do.SWITCH)
    for ident, first in told.items():
        for key in switches[ident]:
            if key != first:
                book.needs[key].add(first)


def with_turns(course: Course, model: ModelVerdicts, taken: Sequence[Turn]) -> Course:
    """Return the course with what the turns mean for the model: the only address that it has is away for a moment, or
    one of several at a time.
    """
    if not any(router.model == model.name for turn in taken for router, _ in turn.routers):
        return course
    several = sum(1 for router in model.routers if router.live) > 1
    return replace(course, downtime=course.downtime or not several, in_turn=several)
