"""Owns the question where replicas run, put to `placement`: who stays, who is replaced or comes, and what is free.

Only for targets whose places the core chooses. Pure: to know which replicas are replaced it has the wishes lowered
as if all stayed where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from infctl.address import Address
from infctl.diagnostics import InfctlError
from infctl.placement.clash import find_clash
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.place import Where
from infctl.placement.room import Room
from infctl.placement.search import Tell
from infctl.placement.shortage import no_room
from infctl.placement.spots import Found, move_others, place_replicas
from infctl.plan.compare import Verdict
from infctl.plan.course import ModelVerdicts, first_to_leave, held_by, opening, promised_by, started_again, with_back
from infctl.plan.evacuate import give_up
from infctl.plan.model import Action
from infctl.plan.overflow import Spares, Spread, asked_on, coming_to, spread
from infctl.plan.promised import room_of, spot_of
from infctl.plan.refresh import reinstate
from infctl.plan.refusals import refuse
from infctl.plan.request import Question, Request, TargetView
from infctl.plan.weigh import weigh
from infctl.provider.kinds import Role
from infctl.provider.values import Deployment, Desired, Spot, TargetWant
from infctl.state.model import Resource

Lower = Callable[[TargetWant], tuple[Desired, ...]]
MOST_MOVABLE = 500  # running replicas among which is looked for some that move
_NOWHERE = Spot()
_GAP = "Replicas are placed where all that counts costs at most {:.1%} more than it must; to be sure took too long."


class Manner(NamedTuple):
    """What a model asks of its placement: `spread` ("host", "zone", "none" or ""), and the models to be `beside`."""

    spread: str = ""
    beside: tuple[str, ...] = ()


class Spotted(NamedTuple):
    """Deployments with their spots, and a sentence where better ones may be found: how much better at the most.

    `where` is not empty where some targets have too little room and others of the order have it: then nothing has a
    spot yet, and the same is to be asked again with the slots of these models on these targets.
    """

    deployments: tuple[Deployment, ...]
    note: str = ""
    where: Where = MappingProxyType({})


def give_spots(
    question: Question,
    lower: Lower,
    manners: Mapping[str, Manner],
    tell: Tell = lambda *_: None,
    spares: Callable[[], Spares] | None = None,
) -> Spotted:
    """Return the question's deployments, each slot with its spot where the core chooses the places.

    `lower` gives the resources of all that is wanted on a target; `tell` hears how far it is. `spares` tells where else
    models may live; without it nobody goes elsewhere.
    Raises InfctlError: no-room for every replica that fits nowhere, and what `refuse` does.
    """
    placing = {name: view for name, view in question.views.items() if view.places_replicas}
    if spares is None and placing.keys().isdisjoint(question.placed_on):
        return Spotted(question.deployments)
    refuse(question)
    asked = _inquire(question, lower, manners, placing)
    parties, sites = asked.parties_on(placing), asked.sites()
    found = place_replicas(parties, sites, tell)
    note = _GAP.format(found.gap) if found.gap else ""
    wider = _spread(asked, found, spares, tell)
    if wider is not None and wider.where and not wider.found.missing:
        return Spotted((), wider.note, wider.where)
    if found.missing and (moved := _with_moves(asked, parties, sites)) is not None:
        found, note = moved
    if found.missing:
        if wider is not None and wider.found.missing:
            found, parties, sites = wider.found, list(wider.parties), wider.sites
        clash = find_clash(parties, found.missing, sites)
        raise InfctlError(*(no_room(missing, clash) for missing in found.missing))
    return Spotted(_with_spots(asked.question, placing, found), note)


class _Inquiry(NamedTuple):
    """A question as it is put: its deployments where they are now, who does what, and what is free then. `away` are
    stopped replicas that have no room any more where they were.
    """

    question: Question
    parts: Mapping[str, ModelVerdicts]
    room: Room
    away: list[Verdict]
    manners: Mapping[str, Manner]
    placing: Mapping[str, TargetView]

    def parties_on(self, views: Mapping[str, TargetView]) -> list[Party]:
        """Return the models that move on some targets, and those that stand still where others want to be."""
        moving = (part for part in self.parts.values() if not part.stands_still)
        every = [_party(part, self.room, views, self.away, self.manners.get(part.name, Manner())) for part in moving]
        every = [party for party in every if party.seats or party.leaving]
        return every + _bystanders(self.parts.values(), every, self.room, views)

    def sites(self) -> Sites:
        views = self.placing.items()
        places = {name: tuple(each for each in view.inventory.places if view.reads(each.name)) for name, view in views}
        most = {name: view.inventory.most for name, view in views if view.inventory.most is not None}
        return Sites(places, self.room, most)


def _inquire(
    question: Question, lower: Lower, manners: Mapping[str, Manner], placing: Mapping[str, TargetView]
) -> _Inquiry:
    question = replace(question, deployments=_as_they_are(question, placing))
    weighed = weigh(replace(question, desired=lower_all(question, lower)))
    room = room_of(weighed.question.views, weighed.question.state.resources.values())
    moving = [part for part in weighed.parts.values() if not part.stands_still]
    room = opening(moving, room)
    away = [verdict for part in moving for verdict in _cannot_go_on(part, room)]
    room = with_back(room, (promised_by(verdict, room) for verdict in away))
    return _Inquiry(question, weighed.parts, room, away, manners, placing)


def _spread(asked: _Inquiry, found: Found, spares: Callable[[], Spares] | None, tell: Tell) -> Spread | None:
    """Return where all live when they may go to further targets; None where nobody has to. Targets that choose places
    themselves have none of what was found.
    """
    if spares is None or not _may_go_elsewhere(asked.question.request):
        return None
    parties = asked.parties_on(asked.question.views)
    by_themselves = (seat for party in parties for seat in party.coming if seat.target not in asked.placing)
    if not found.missing and next(by_themselves, None) is None:
        return None
    return spread(asked.question, parties, spares(), asked.room, tell)


def _with_moves(asked: _Inquiry, parties: Sequence[Party], sites: Sites) -> tuple[Found, str] | None:
    """Return spots for all where some that run move, and who that is; None where that is not enough, or not allowed."""
    if asked.question.request.targets or asked.question.request.excludes:
        return None
    parts = [part for part in asked.parts.values() if part.name not in asked.question.protected]
    others = _movable(parts, parties, asked.room, asked.placing, asked.manners)
    found = move_others(parties, others, sites) if others else None
    return (found, _moves_in_words(found, others)) if found is not None else None


def _with_spots(question: Question, placing: Mapping[str, TargetView], found: Found) -> tuple[Deployment, ...]:
    return tuple(
        replace(wish, spots=tuple(
            given.spot if (given := found.spots.get((wish.model, target, slot))) else spot
            for slot, spot in zip(wish.slots, wish.spots, strict=True)
        )) if target in placing else wish
        for target, wish in zip(question.placed_on, question.deployments, strict=True)
    )  # fmt: skip


def _may_go_elsewhere(request: Request) -> bool:
    """Return whether no replica is asked for by its address: the address says where it lives."""
    return not any(each.key for each in (*request.targets, *request.excludes, *request.replace))


def lower_all(question: Question, lower: Lower) -> tuple[Desired, ...]:
    """Return everything that the question's deployments are in native resources."""
    by_target: dict[str, list[Deployment]] = {}
    for target, wish in zip(question.placed_on, question.deployments, strict=True):
        by_target.setdefault(target, []).append(wish)
    return tuple(made for target, mine in by_target.items() for made in lower(TargetWant(target, tuple(mine))))


def _as_they_are(question: Question, placing: Mapping[str, TargetView]) -> tuple[Deployment, ...]:
    """Return the deployments with each slot where it is now; what is nowhere yet at any place that can be read."""
    current = _standing(question, placing)
    found = []
    for target, wish in zip(question.placed_on, question.deployments, strict=True):
        if (view := placing.get(target)) is None:
            found.append(wish)
            continue
        somewhere = Spot(next((p.name for p in view.inventory.places if view.reads(p.name)), ""))
        addresses = [_address(view, target, wish.model, slot) for slot in wish.slots]
        things = [current.get(address) for address in addresses]
        spots = (thing and spot_of(view.kinds[thing.address.kind], thing.values) for thing in things)
        found.append(replace(wish, spots=tuple(spot or somewhere for spot in spots)))
    return tuple(found)


def _standing(question: Question, placing: Mapping[str, TargetView]) -> dict[Address, Resource]:
    """Return what stands at each address, once what is lost is given up and what is wanted again is taken back."""
    wishes = (
        Desired(_address(view, target, wish.model, slot), target, {}, wish.model, wish.revision, wish.spec_hash)
        for target, wish in zip(question.placed_on, question.deployments, strict=True)
        if (view := placing.get(target)) is not None
        for slot in wish.slots
    )
    kept, _ = give_up(replace(question, desired=tuple(wishes)))
    kept, _ = reinstate(kept)
    return {thing.address: thing for thing in kept.state.resources.values() if not thing.deposed}


def _address(view: TargetView, target: str, model: str, slot: int) -> Address:
    kind = next(name for name, kind in view.kinds.items() if kind.place and kind.role is Role.REPLICA)
    return Address(kind, model, f"{target}/{slot}")


# ---------------------------------------------------------------- what is asked of placement


def _party(
    part: ModelVerdicts, room: Room, placing: Mapping[str, TargetView], away: list[Verdict], manner: Manner
) -> Party:
    mine = [verdict for verdict in part.replicas if verdict.target in placing and verdict.want is not None]
    replaced, coming = list[Seat](), list[Seat]()
    staying: dict[tuple[str, str], int] = {}
    for verdict in mine:
        wish = part.wishes[verdict.target]
        asked = asked_on(placing[verdict.target], wish)
        if not placing[verdict.target].places_replicas:
            coming += coming_to(verdict, wish, asked) if verdict.action is Action.CREATE or verdict.kind.count else ()
            continue
        seat = Seat(verdict.target, verdict.address.slot, asked)
        if verdict in away:
            replaced.append(seat)
        elif verdict.action in {Action.REPLACE, Action.REPLACE_BESIDE}:
            was = spot_of(verdict.kind, verdict.have.values) if verdict.have else None
            replaced.append(replace(seat, old=held_by(verdict, room), was=was))
        elif verdict.action is Action.CREATE:
            coming.append(seat)
        elif (spot := spot_of(verdict.kind, verdict.values)) is not None:
            staying[verdict.target, spot.place] = staying.get((verdict.target, spot.place), 0) + 1
    leaving = tuple(held_by(v, room) for v in first_to_leave(part) if v.target in placing)
    steady = max((placing[v.target].inventory.steady for v in mine), default=0)
    return Party(part.name, tuple(replaced), tuple(coming), leaving, staying, manner.spread, manner.beside, steady)


def _bystanders(
    parts: Iterable[ModelVerdicts], parties: Sequence[Party], room: Room, placing: Mapping[str, TargetView]
) -> list[Party]:
    """Return the models that stand still and that others want to be beside: where they are."""
    wanted = {mate for party in parties for mate in party.mates} - {party.model for party in parties}
    found = (_party(part, room, placing, [], Manner()) for part in parts if part.name in wanted)
    return [Party(party.model, staying=party.staying) for party in found]


def _movable(
    parts: Iterable[ModelVerdicts],
    parties: Sequence[Party],
    room: Room,
    placing: Mapping[str, TargetView],
    manners: Mapping[str, Manner],
) -> list[Party]:
    """Return the models that stand still, with their replicas that may move where others need their room."""
    found = []
    moving = {party.model for party in parties if party.seats or party.leaving}
    for part in parts:
        if part.name in moving:
            continue
        stays = [v for v in part.replicas if v.target in placing and v.want is not None and not v.unknown]
        seats = tuple(
            Seat(
                v.target,
                v.address.slot,
                asked_on(placing[v.target], part.wishes[v.target]),
                held_by(v, room),
                spot,
                runs=True,
            )
            for v in stays
            if v.action is Action.NOOP and v.live and v.live.running and (spot := spot_of(v.kind, v.values))
        )
        if seats and len(seats) == len(stays):
            manner = manners.get(part.name, Manner())
            found.append(Party(part.name, spread=manner.spread, mates=manner.beside, standing=seats))
    return found if sum(len(party.standing) for party in found) <= MOST_MOVABLE else []


def _moves_in_words(found: Found, others: Sequence[Party]) -> str:
    told = []
    for party in others:
        for seat in party.standing:
            option = found.spots.get((party.model, seat.target, seat.slot))
            if option is not None and seat.was is not None:
                told.append(f"{party.model} {seat.target}/{seat.slot} from {seat.was.place} to {option.spot.place}")
    return f"What runs moves first, so that there is room for all: {', '.join(told)}."


def _cannot_go_on(part: ModelVerdicts, room: Room) -> Iterator[Verdict]:
    """Yield the stopped replicas that have no room any more where they were: `room` counts them as started again."""
    for verdict in started_again(part):
        if verdict.kind.place and any(room.free.get(pool, 0) < 0 for pool in promised_by(verdict, room)):
            yield verdict
