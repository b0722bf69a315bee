"""Owns saying why there is no plan: the smallest set of constraints that cannot hold together, and the ways out. Pure.

Constraints are left out one after another; what can go without a plan appearing is none of the reason (deletion filter:
Chinneck and Dravnieks, "Locating minimal infeasible constraint sets", ORSA Journal on Computing 3, 1991). What remains
is minimal: without any one of them there is a plan. Each of them is then loosened as little as it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from infctl.sizing.assess import Assessed, Fault, price_key
from infctl.sizing.constraints import ROOM, Find, Held, Question, constraints_of
from infctl.sizing.decision import Clash, Constraint, Offer
from infctl.sizing.search import Search


class WayOut(NamedTuple):
    """A sentence, and the dollars an hour that it costs more than nothing."""

    said: str
    dollars: float


def clash_of(asked: Question, find: Find, *, elsewhere: Sequence[Offer] = (), first: Search | None = None) -> Clash:
    """Return what clashes where a question has no plan; `first` is what was found for it.

    `elsewhere` are offers of targets that the model's order does not name: a way out may be to go there.
    """
    first = first or find(asked)
    if not first.assessed:
        return _hopeless(first)
    nearest = first.assessed[0]
    held = sorted(constraints_of(asked), key=partial(_blame, nearest))
    free = asked
    for each in held:
        free = each.without(free)
    if not find(free).plans:
        return _hopeless(first)
    left, rest = list(held), asked
    for each in held:
        tried = each.without(rest)
        if not find(tried).plans:
            left.remove(each)
            rest = tried
    ways = [*_ways_out(left, asked, rest, find), *_elsewhere(asked, elsewhere, find)]
    ways.sort(key=lambda each: each.dollars)
    said = tuple(each.said for each in ways)
    return Clash(tuple(each.constraint for each in left), said, f"nearest: {nearest.way.label}: {nearest.why}")


def _blame(nearest: Assessed, held: Held) -> int:
    """Return what a constraint is sorted by: left out first is what the nearest plan does not fail by, so that what
    remains is told in the words of that plan's failure.
    """
    path, room = held.constraint.path, held.constraint.path in {ROOM, "replicas"}
    if path == nearest.path:
        return 3
    return 1 if room == (nearest.fault is Fault.REPLICAS) else 0


def _hopeless(first: Search) -> Clash:
    """Return a clash where no line of the file is to blame: nothing starts, or nothing is big enough."""
    why = dict.fromkeys(each.why for each in first.refused)
    if not first.assessed:
        constraints = tuple(Constraint("", each) for each in list(why)[:3]) or (Constraint("", "nothing to run on"),)
        return Clash(constraints, tuple(dict.fromkeys(each.instead for each in first.refused if each.instead))[:3])
    nearest = first.assessed[0]
    return Clash((Constraint(nearest.path, nearest.why),), (), f"nearest: {nearest.way.label}")


def _ways_out(left: Sequence[Held], asked: Question, rest: Question, find: Find) -> list[WayOut]:
    """Return what each constraint could be loosened to: with all else as it is asked; where nothing helps alone, with
    all else loosened that is none of the reason.
    """
    for whole, note in ((asked, ""), (rest, " (and that is not all)" if rest is not asked else "")):
        found = [
            WayOut(held.way(whole, plans[0], find) + note, price_key(plans[0]))
            for held in left
            if (plans := find(held.without(whole)).plans)
        ]
        if found:
            return found
    return []


def _elsewhere(asked: Question, offers: Sequence[Offer], find: Find) -> Iterator[WayOut]:
    for target in dict.fromkeys(each.target for each in offers):
        there = tuple(each for each in offers if each.target == target)
        if plans := find(asked._replace(offers=(*asked.offers, *there))).plans:
            hour = f" (${price_key(plans[0]):.2f}/h)" if price_key(plans[0]) else ""
            yield WayOut(f"burst: {{to: {target}}}: {plans[0].way.label}{hour}", price_key(plans[0]))
