"""Owns why not all that is asked can be placed: the fewest demands that clash, and what would be enough. Pure.

A demand belongs to the clash where all could be placed without it; what is left when every other is taken away is
irreducible (J. W. Chinneck, "Feasibility and Infeasibility in Optimization", Springer 2008: the deletion filter).
Every way out is tried before it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from infctl.frozen import dataclass
from infctl.placement.fit import Asked, in_words, will_do
from infctl.placement.parties import Missing, Party, Seat, Sites
from infctl.placement.room import Pool, Room
from infctl.placement.spots import can_place
from infctl.provider.values import Device, Place

MOST_SEATS = 300  # of a question that is looked into: every look is a search of its own
MOST_WAYS = 3  # out of it that are told
MOST_HOSTS = 6  # of which one gets another device, or a twin, to see whether that is enough
MOST_MORE = 8  # devices of one host, or hosts
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Clash:
    """The demands that cannot hold together, and what would be enough, the cheapest first; in the user's words."""

    demands: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()


def find_clash(parties: Sequence[Party], missing: Sequence[Missing], sites: Sites) -> Clash:
    """Return why `missing` have no place beside `parties`, of which they are part. Empty where that is too much."""
    if sum(len(party.seats) for party in parties) > MOST_SEATS:
        return Clash()
    least = _fewest([party for party in parties if party.seats], sites)
    found = list(_demands(least, sites))
    return Clash(tuple(found), tuple(_ways(parties, least, missing, sites)))


# ---------------------------------------------------------------- what clashes


def _fewest(parties: list[Party], sites: Sites) -> list[Party]:
    """Return models that cannot be placed together, of which none, and no replica of any, can be left out."""
    for party in list(parties):
        without = [other for other in parties if other is not party]
        if not can_place(without, sites):
            parties = without
    for model in [party.model for party in parties]:
        while (fewer := _one_fewer(next(party for party in parties if party.model == model))) is not None:
            without = [fewer if party.model == model else party for party in parties]
            if can_place(without, sites):
                break
            parties = without
    return parties


def _one_fewer(party: Party) -> Party | None:
    """Return a model without its last new replica; None where it would have none at all."""
    return replace(party, coming=party.coming[:-1]) if party.coming and len(party.seats) > 1 else None


def _with(parties: Sequence[Party], party: Party, other: Party) -> list[Party]:
    return [other if each is party else each for each in parties]


def _demands(parties: Sequence[Party], sites: Sites) -> Iterator[str]:
    """Yield what each of `parties` asks, with those of its rules that it could be placed without."""
    for party in parties:
        more = "more " if party.staying else ""
        asks = f"models.{party.model}: {_replicas(len(party.seats), more)} of {in_words(party.seats[0].asked)}"
        rules = [rule for rule, without in _relaxed(party) if can_place(_with(parties, party, without), sites)]
        yield f"{asks} with {' and '.join(rules)}" if rules else asks


def _relaxed(party: Party) -> Iterator[tuple[str, Party]]:
    """Yield each rule of a model that can be lifted, and the model without it."""
    if party.spread in {"host", "zone"}:
        yield f"placement.spread: {party.spread}", replace(party, spread="")
    product = party.seats[0].asked.product
    if product:
        yield f"gpu.product: {product}", _asking(party, lambda asked: asked._replace(product=""))


def _asking(party: Party, change: Callable[[Asked], Asked]) -> Party:
    """Return a model that asks something else, on every target."""

    def changed(seat: Seat) -> Seat:
        elsewhere = tuple((target, change(asked)) for target, asked in seat.elsewhere)
        return replace(seat, asked=change(seat.asked), elsewhere=elsewhere)

    return replace(party, replaced=tuple(map(changed, party.replaced)), coming=tuple(map(changed, party.coming)))


# ---------------------------------------------------------------- what would be enough


def _ways(parties: Sequence[Party], least: Sequence[Party], missing: Sequence[Missing], sites: Sites) -> Iterator[str]:
    """Yield what would be enough, the cheapest first: a word in the file, then fewer replicas, then a purchase."""
    names = {party.model for party in least}
    clashing = [party for party in parties if party.model in names]
    yield from islice(_every_way(clashing, parties, missing, sites), MOST_WAYS)


def _replicas(count: int, more: str = "") -> str:
    return f"{count} {more}{'replica' if count == 1 else 'replicas'}"


def _every_way(
    clashing: Sequence[Party], parties: Sequence[Party], missing: Sequence[Missing], sites: Sites
) -> Iterator[str]:
    for party in clashing:
        for rule, without in _relaxed(party):
            if can_place(_with(parties, party, without), sites):
                yield f"take models.{party.model}.{rule} out"
    for each in missing:
        if bought := _purchase(each, parties, sites):
            yield bought
    for party in clashing:
        for count in range(len(party.coming) - 1, -1, -1):
            if can_place(_with(parties, party, replace(party, coming=party.coming[:count])), sites):
                yield f"ask for {_replicas(len(party.coming) - count)} of {party.model} fewer"
                break


def _purchase(missing: Missing, parties: Sequence[Party], sites: Sites) -> str:
    """Return the fewest devices of one host, or hosts like one, that are enough with all else as it is."""
    for _, words, larger in sorted(_purchases(missing, sites), key=lambda each: each[0]):
        if can_place(parties, larger):
            return words
    return ""


def _purchases(missing: Missing, sites: Sites) -> Iterator[tuple[int, str, Sites]]:
    """Yield what might be bought, each with how much that is: in devices, or where none are asked for in hosts."""
    target, asked = missing.seat.target, missing.seat.asked
    kinds: dict[object, Place] = {}
    for place in sites.places.get(target, ()):
        if not asked.devices or any(will_do(asked, device) for device in place.devices):
            kinds.setdefault((tuple(d.product for d in place.devices), place.memory_total), place)
    for place in list(kinds.values())[:MOST_HOSTS]:
        for more in range(1, MOST_MORE + 1):
            if asked.devices:
                device = next(device for device in place.devices if will_do(asked, device))
                larger = _with_devices(sites, target, place, device, more)
                yield more, f"{more} more {device.product} in {place.name}", larger
            else:
                size = more * asked.memory
                yield 0, f"{size / _GIB:.1f} GiB more memory on {place.name}", _with_memory(sites, target, place, size)
            hosts = f"{more} more {'host' if more == 1 else 'hosts'} like {place.name} in {target}"
            where = ", each in a zone of its own" if missing.party.spread == "zone" else ""
            yield more * max(1, len(place.devices)), hosts + where, _with_hosts(sites, target, place, more)


def _with_memory(sites: Sites, target: str, place: Place, size: int) -> Sites:
    pool = Pool(target, place.name)
    free = {**sites.room.free, pool: sites.room.free.get(pool, 0) + size}
    return replace(sites, room=Room(free, sites.room.whole))


def _with_devices(sites: Sites, target: str, place: Place, like: Device, count: int) -> Sites:
    new = [replace(like, uuid=f"{like.uuid}+{n}", index=len(place.devices) + n) for n in range(count)]
    larger = replace(place, devices=(*place.devices, *new))
    places = tuple(larger if each is place else each for each in sites.places[target])
    return replace(sites, places={**sites.places, target: places}, room=_with_free(sites.room, target, larger, new))


def _with_hosts(sites: Sites, target: str, place: Place, count: int) -> Sites:
    twins = []
    room = sites.room
    for n in range(count):
        devices = tuple(replace(device, uuid=f"{device.uuid}+{n}") for device in place.devices)
        twin = replace(place, name=f"{place.name}+{n}", zone=f"{place.zone}+{n}", devices=devices)
        room = _with_free(room, target, twin, devices)
        room = Room({**room.free, Pool(target, twin.name): twin.memory_total}, room.whole)
        twins.append(twin)
    return replace(sites, places={**sites.places, target: (*sites.places[target], *twins)}, room=room)


def _with_free(room: Room, target: str, place: Place, devices: Sequence[Device]) -> Room:
    free = {Pool(target, place.name, device.uuid): device.memory_total for device in devices}
    return Room({**room.free, **free}, {**room.whole, **free})
