"""Owns which replicas go on to the next targets of their model's order, where those before have no room for them. Pure.

What runs stays on its target while it can. Of targets that choose places themselves it is asked whether there is room,
not where: one that tells no places takes whatever is left.
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
from infctl.plan.compare import Verdict
from infctl.plan.request import Question, TargetView
from infctl.provider.values import Deployment, Place

MOST_TOLD = 5  # models
Spares = Iterable[tuple[str, Deployment]]  # targets of each model's order, and what it would run there


class Spread(NamedTuple):
    """Models whose replicas live on other targets than was asked first: `where` says on which, `note` the same in
    words. Where not all have a place even so, `found` says who has none, of `parties`, on `sites`.
    """

    where: Where
    note: str
    found: Found
    parties: tuple[Party, ...]
    sites: Sites


def spread(question: Question, parties: Sequence[Party], spares: Spares, room: Room, tell: Tell) -> Spread:
    """Return where all replicas live when each may go to any target of its model's order, its own preferred.

    `parties` are the models that move, on whatever targets; `room` is what is free once what goes before them is gone.
    """
    others = _others(question, spares)
    parties = tuple(_with_others(party, others.get(party.model, {})) for party in parties)
    sites = sites_of(question.views, parties, room)
    found = place_replicas(parties, sites, tell)
    where = _where(question, found)
    told = list(_in_words(question, where))
    more = len(told) - MOST_TOLD
    note = " ".join([*told[:MOST_TOLD], *([f"And {more} more models."] if more > 0 else [])])
    return Spread(where, note, found, parties, sites)


def sites_of(views: Mapping[str, TargetView], parties: Iterable[Party], room: Room) -> Sites:
    """Return all places where something new may be made; of those that do not stand yet as many as may be asked for."""
    seats = [seat for party in parties for seat in party.seats]
    asked = sum(max(each.memory for _, each in seat.choices) for seat in seats)
    free, whole = dict(room.free), dict(room.whole)
    places: dict[str, tuple[Place, ...]] = {}
    for name, view in views.items():
        if view.places_replicas:
            places[name] = tuple(place for place in view.inventory.places if view.reads(place.name))
        elif not view.takes_new(""):
            places[name] = ()
        else:
            there = view.inventory.places or (Place("", 0, asked, asked),)
            places[name] = tuple(twin for place in there for twin in _twins(place, len(seats)))
            for place in places[name]:
                limit = room.free.get(Pool(name), place.memory_free) if place.most == 1 else place.memory_free
                free[Pool(name, place.name)] = min(place.memory_free, limit)
                devices = {Pool(name, place.name, each.uuid): each for each in place.devices}
                free.update({pool: each.memory_free for pool, each in devices.items()})
                whole.update({pool: each.memory_free for pool, each in devices.items() if not each.taken})
    most = {name: view.inventory.most for name, view in views.items() if view.inventory.most is not None}
    single = {name for name, view in views.items() if any(kind.begins for kind in view.kinds.values())}
    return Sites(places, replace(room, free=free, whole=whole), most, single)


def _twins(place: Place, wanted: int) -> Iterator[Place]:
    """Yield a place that stands, or as many like it as may be begun for so many replicas."""
    if place.most == 1:
        yield place
        return
    for number in range(wanted if place.most is None else min(wanted, place.most)):
        yield replace(place, name=f"{place.name}#{number}")


def _others(question: Question, spares: Spares) -> Mapping[str, Mapping[str, Asked]]:
    """Return what each model asks on each target that it may live on, best first."""
    placed = zip(question.placed_on, question.deployments, strict=True)
    found: dict[str, dict[str, Asked]] = {}
    for target, wish in (*spares, *placed):  # of what is placed the revision may say it
        found.setdefault(wish.model, {})[target] = asked_on(question.views[target], wish)
    return found


def asked_on(view: TargetView, wish: Deployment) -> Asked:
    """Return what one replica asks of a place; of a target that tells no places nobody knows the devices."""
    template = wish.template
    if not view.places_replicas and not view.inventory.places:
        return Asked(template.memory)
    return Asked(template.memory, template.gpus, template.gpu_memory, template.gpu_fraction, template.gpu_product)


def coming_to(verdict: Verdict, wish: Deployment, asked: Asked) -> tuple[Seat, ...]:
    """Return the replicas that come by a verdict on a target that places them itself; how it replaces is its own."""
    slots = wish.slots if verdict.kind.count else (verdict.address.slot,)
    many = verdict.have.values.get(verdict.kind.count) or 0 if verdict.kind.count and verdict.have else 0
    return tuple(Seat(verdict.target, slot, asked) for slot in slots[many if verdict.live else 0 :])


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
    return {
        model: {target: _in_order(slots, question.views[target]) for target, slots in mine.items()}
        for model, mine in where.items()
    }


def _in_order(slots: list[int], view: TargetView) -> tuple[int, ...]:
    """Return slots in order; of what one object stands for only how many counts."""
    counted = any(kind.count for kind in view.kinds.values())
    return tuple(range(len(slots))) if counted else tuple(sorted(slots))


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
