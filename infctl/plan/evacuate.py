"""Owns giving up what runs at a place that cannot be read: its replicas are made elsewhere, and removed once it can be.

Pure. A lost object stays in state, deposed and with its removal begun, so that a place that comes back is emptied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from infctl.diagnostics import Code, Diagnostic, InfctlError, did_you_mean, error
from infctl.plan.request import Question, TargetView
from infctl.provider.kinds import KindSpec, Role
from infctl.provider.values import Unreadable
from infctl.state.model import EVACUATED, Resource

NOT_LOST = Code(
    "not-lost",
    "A place that -evacuate names is one that can be read, or that nobody knows.",
    "Name a place that `infctl plan` says could not be read; what runs at one that can be read is not lost.",
)


def runs_at(thing: Resource, kinds: Mapping[str, KindSpec]) -> str:
    """Return the place at which a replica runs; "" for what is no replica, or has no place of its own."""
    kind = kinds[thing.address.kind]
    return thing.values.get(kind.place) or "" if kind.place and kind.role is Role.REPLICA else ""


def give_up(question: Question) -> tuple[Question, tuple[Resource, ...]]:
    """Return the question with the replicas at evacuated places lost, and these as state must know them."""
    places, views = question.request.evacuate, question.views
    lost = tuple(
        replace(thing, deposed=True, pending=EVACUATED)
        for thing in (question.state.resources.values() if places else ())
        if not thing.lost and runs_at(thing, views[thing.target].kinds) in places
    )
    if not lost:
        return question, ()
    resources = {**question.state.resources, **{thing.id: thing for thing in lost}}
    return replace(question, state=replace(question.state, resources=resources)), lost


def with_places_left(view: TargetView, resources: Iterable[Resource]) -> TargetView:
    """Return `view`, the places among the unreadable ones that left the target while replicas are known to be there."""
    if not view.places_replicas or view.is_dark:
        return view
    known = {each.name for each in view.inventory.places} | {each.place for each in view.unreadable}
    mine = (thing for thing in resources if thing.target == view.name and not thing.lost)
    left = dict.fromkeys(place for thing in mine if (place := runs_at(thing, view.kinds)) and place not in known)
    said = tuple(
        Unreadable(
            place,
            f"it is no longer a place of {view.name}, but replicas are known to be there",
            f"put it back, or give up what ran there: -evacuate={place}",
        )
        for place in left
    )
    return replace(view, unreadable=(*view.unreadable, *said))


def refuse_evacuation(question: Question) -> None:
    """Raise InfctlError (not-lost) for each place to evacuate that can be read, or that nobody knows."""
    views = question.views.values()
    lost = {each.place for view in views for each in view.unreadable if view.places_replicas}
    there = {place.name: view.name for view in views for place in view.inventory.places if view.places_replicas}
    problems = [_not_lost(name, there, lost) for name in question.request.evacuate if name not in lost]
    if problems:
        raise InfctlError(*problems)


def _not_lost(name: str, there: Mapping[str, str], lost: Iterable[str]) -> Diagnostic:
    if name in there:
        hint = f"leave -evacuate={name} out: {there[name]} reads it, and what runs there is well"
        return error(NOT_LOST, f"{name} can be read, so nothing is lost there", "", hint=hint)
    hint = did_you_mean(name, sorted({*there, *lost})) or NOT_LOST.remedy
    return error(NOT_LOST, f"There is no place {name!r} to evacuate", "no target has it", hint=hint)
