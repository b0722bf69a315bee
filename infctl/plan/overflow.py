"""Owns which replicas go on to the next targets of their model's order, where those before have no room for them. Pure.

What runs stays on its target while it can. Targets that choose places themselves count as one place, with the memory
that they say they have, or with as much as is asked for where they say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from infctl.placement.fit import Asked
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.place import Where
from infctl.placement.room import Pool, Room
from infctl.placement.search import Tell
from infctl.placement.spots import Found, place_replicas
from infctl.plan.request import Question, TargetView
from infctl.provider.values import Deployment, Place

Spares = Iterable[tuple[str, Deployment]]  # targets, and what a model would run there if it had to


class Spread(NamedTuple):
    """Models whose replicas live on other targets than was asked first: `where` says on which, `note` the same in
    words. Where not all have a place even so, `found` says who has none, of `parties`, on `sites`.
    """

    where: Where
    note: str
    found: Found
    parties: tuple[Party, ...]
    sites: Sites


def lack_room(parties: Iterable[Party], room: Room) -> bool:
    """Return whether a target that chooses places itself has less memory than what comes there asks for."""
    needs: dict[Pool, int] = {}
    for seat in (seat for party in parties for seat in party.coming):
        pool = Pool(seat.target)
        needs[pool] = needs.get(pool, 0) + seat.asked.memory
    return any(pool in room.free and size > room.free[pool] for pool, size in needs.items())


def spread(question: Question, parties: Sequence[Party], spares: Spares, room: Room, tell: Tell) -> Spread:
    """Return where all replicas live when each may go to any target of its model's order, its own preferred.

    `parties` are the models that move, on whatever targets; `room` is what is free once what goes before them is gone.
    """
    others = _others(question, spares)
    parties = tuple(_with_others(party, others.get(party.model, {})) for party in parties)
    sites = sites_of(question.views, parties, room)
    found = place_replicas(parties, sites, tell)
    where = _where(question, found)
    return Spread(where, " ".join(_in_words(question, where)), found, parties, sites)


def sites_of(views: Mapping[str, TargetView], parties: Iterable[Party], room: Room) -> Sites:
    """Return all places where something new may be made."""
    asked = sum(max(each.memory for _, each in seat.choices) for party in parties for seat in party.seats)
    places = {name: tuple(_places(view, room, asked)) for name, view in views.items()}
    unlimited = {Pool(name): asked for name, view in views.items() if not view.places_replicas}
    return Sites(places, Room({**unlimited, **room.free}, room.whole))


def _places(view: TargetView, room: Room, asked: int) -> Iterator[Place]:
    if view.places_replicas:
        yield from (place for place in view.inventory.places if view.reads(place.name))
    elif view.takes_new(""):
        free = room.free.get(Pool(view.name), asked)
        yield Place("", 0, free, free)


def _others(question: Question, spares: Spares) -> Mapping[str, Mapping[str, Asked]]:
    """Return what each model asks on each target that it may live on, best first."""
    placed = zip(question.placed_on, question.deployments, strict=True)
    found: dict[str, dict[str, Asked]] = {}
    for target, wish in (*placed, *spares):
        found.setdefault(wish.model, {})[target] = asked_on(question.views[target], wish)
    return found


def asked_on(view: TargetView, wish: Deployment) -> Asked:
    """Return what one replica asks of a place; which devices it gets is a target's own matter where that places it."""
    template = wish.template
    if not view.places_replicas:
        return Asked(template.memory)
    return Asked(template.memory, template.gpus, template.gpu_memory, template.gpu_fraction, template.gpu_product)


def _with_others(party: Party, every: Mapping[str, Asked]) -> Party:
    def free(seat: Seat) -> Seat:
        return replace(seat, elsewhere=tuple(each for each in every.items() if each[0] != seat.target))

    return replace(party, replaced=tuple(map(free, party.replaced)), coming=tuple(map(free, party.coming)))


def _where(question: Question, found: Found) -> Where:
    """Return the slots by target of the models of which a replica goes elsewhere, lowest free numbers first."""
    moved = {key: option.target for key, option in found.spots.items() if option.target != key[1]}
    where: dict[str, dict[str, list[int]]] = {}
    names = {model for model, _, _ in moved}
    for target, wish in zip(question.placed_on, question.deployments, strict=True):
        if wish.model in names:
            where.setdefault(wish.model, {})[target] = list(wish.slots)
    for (model, target, slot), other in sorted(moved.items()):
        where[model][target].remove(slot)
        there = where[model].setdefault(other, [])
        there.append(next(number for number in range(len(there) + 1) if number not in there))
    return {model: {target: tuple(sorted(slots)) for target, slots in mine.items()} for model, mine in where.items()}


def _in_words(question: Question, where: Where) -> Iterator[str]:
    """Yield a sentence for each model that lives elsewhere than was asked first."""
    before = {
        (wish.model, target): len(wish.slots)
        for target, wish in zip(question.placed_on, question.deployments, strict=True)
    }
    for model, now in where.items():
        there = {target: count for (name, target), count in before.items() if name == model}
        fewer = [
            f"{target} has room for {len(now[target])} of {count} replicas"
            for target, count in there.items()
            if len(now[target]) < count
        ]
        more = [
            f"{len(slots) - there.get(target, 0)} to {target}"
            for target, slots in now.items()
            if len(slots) > there.get(target, 0)
        ]
        yield f"{model} goes on along placement.order: {', '.join(fewer)}, {' and '.join(more)}."
