"""Owns where replicas run on targets whose places we choose: which place, and what they have of its devices. Pure.

Places are found for all models at once, so that none takes what another cannot do without; then each that replaces
replicas gets, as far as there is room beside the others, spots that let its new ones stand beside the old.
Knows neither models' specs nor state: only what each replica needs and what is free.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import chain
from operator import itemgetter

from infctl.frozen import dataclass
from infctl.placement.fit import Asked, Option, Site, options
from infctl.placement.room import Held, Load, Pool, Rollout, Room, Way, add, fits, least, peak, waves
from infctl.provider.values import Place, Spot

Key = tuple[str, str, int]  # model, target, slot
PATIENCE = 2_000  # dead ends that a search may meet; whoever has more replicas to place has them placed as they come


@dataclass(frozen=True, slots=True)
class Seat:
    """A replica to be placed: what it asks of a place of `target`, what its predecessor holds, and where that is."""

    target: str
    slot: int
    asked: Asked
    old: Held = field(default_factory=dict)
    was: Spot | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """What moves of one model: replicas that are replaced, that come, and that only leave (what these hold).

    `staying` counts the replicas that stay, by target and place. `spread` is "host" where no two may share a place,
    "none" where they may be packed, "" where they are spread as far as that goes.
    """

    model: str
    replaced: tuple[Seat, ...] = ()
    coming: tuple[Seat, ...] = ()
    leaving: tuple[Held, ...] = ()
    staying: Mapping[tuple[str, str], int] = field(default_factory=dict)
    spread: str = ""

    @property
    def seats(self) -> tuple[Seat, ...]:
        return (*self.replaced, *self.coming)

    def load(self, given: Mapping[Key, Option]) -> Load:
        """Return what moves when every seat has what it was given."""

        def new(seat: Seat) -> Held:
            return given[self.model, seat.target, seat.slot].held

        return Load(tuple((seat.old, new(seat)) for seat in self.replaced), tuple(map(new, self.coming)), self.leaving)


@dataclass(frozen=True, slots=True)
class Sites:
    """The places that can be read, by target, and the room there."""

    places: Mapping[str, tuple[Place, ...]]
    room: Room


@dataclass(frozen=True, slots=True)
class Found:
    """Where each replica goes. `missing` are those that go nowhere."""

    spots: Mapping[Key, Spot]
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Missing:
    """`count` replicas of a model that go nowhere on their target, the places as the first of them found them."""

    party: Party
    seat: Seat
    sites: tuple[Site, ...]
    count: int = 1


class Table:
    """What is still free while spots are given out: for all, and besides for each model what it gives back itself."""

    def __init__(self, room: Room, free: Held) -> None:
        self.room = room
        self.free = dict(free)
        self.own: dict[str, dict[Pool, int]] = {}
        self.counts: dict[tuple[str, str, str], int] = {}

    def seat(self, party: Party, *, gives: Iterable[Held] = ()) -> None:
        """Count those of `party` that stay, and what it gives back before its new ones come."""
        for (target, place), count in party.staying.items():
            self.counts[party.model, target, place] = count
        self.give(party, gives)

    def give(self, party: Party, gives: Iterable[Held]) -> None:
        own = self.own.setdefault(party.model, {})
        for held in gives:
            add(own, held)

    def there(self, model: str, pool: Pool) -> int:
        """Return what `model` may take of a pool."""
        return self.free.get(pool, 0) + self.own.get(model, {}).get(pool, 0)

    def site(self, model: str, target: str, place: Place) -> Site:
        return Site(target, place, self.room, lambda pool: self.there(model, pool))

    def kept(self, model: str, target: str, place: Place) -> Site:
        """Return a place as `model` finds it now, whatever is given out later."""
        pools = (Pool(target, place.name), *(Pool(target, place.name, device.uuid) for device in place.devices))
        now = {pool: self.there(model, pool) for pool in pools}
        return Site(target, place, self.room, lambda pool: now.get(pool, 0))

    def take(self, model: str, option: Option) -> list[tuple[Pool, int, int]]:
        """Have a replica of `model` take an option, its model's own first; return what `put_back` needs."""
        own, taken = self.own.setdefault(model, {}), []
        for pool, size in option.held.items():
            mine = min(size, max(0, own.get(pool, 0)))
            own[pool] = own.get(pool, 0) - mine
            self.free[pool] = self.free.get(pool, 0) - (size - mine)
            taken.append((pool, mine, size - mine))
        self._count(model, option, 1)
        return taken

    def put_back(self, model: str, option: Option, taken: list[tuple[Pool, int, int]]) -> None:
        for pool, mine, common in taken:
            self.own[model][pool] += mine
            self.free[pool] += common
        self._count(model, option, -1)

    def _count(self, model: str, option: Option, by: int) -> None:
        key = (model, option.target, option.spot.place)
        self.counts[key] = self.counts.get(key, 0) + by


def place_replicas(parties: Sequence[Party], sites: Sites) -> Found:
    """Return a spot for each seat of `parties`, in the order of the file.

    First for all at once as little as possible is taken: who is replaced may go where it was. Where that is too
    little, all that only leaves, of any party, goes first.
    """
    free = sites.room.free
    given = _search(parties, sites, free)
    if given is None and any(party.leaving for party in parties):
        free = dict(free)
        for held in chain.from_iterable(party.leaving for party in parties):
            add(free, held)
        parties = [_staying_only(party) for party in parties]
        given = _search(parties, sites, free)
    if given is None:
        return _as_they_come(parties, sites, free)
    return Found({key: option.spot for key, option in _comfort(parties, sites, free, given).items()})


def _staying_only(party: Party) -> Party:
    return Party(party.model, party.replaced, party.coming, (), party.staying, party.spread)


# ---------------------------------------------------------------- a spot for everybody


def _hardest_first(parties: Sequence[Party]) -> list[tuple[Party, Seat]]:
    every = [(party, seat) for party in parties for seat in party.seats]
    return sorted(every, key=lambda each: each[1].asked.size, reverse=True)


def _set_table(parties: Sequence[Party], sites: Sites, free: Held) -> Table:
    table = Table(sites.room, free)
    for party in parties:
        table.seat(party, gives=(*(seat.old for seat in party.replaced), *party.leaving))
    return table


def _search(parties: Sequence[Party], sites: Sites, free: Held) -> dict[Key, Option] | None:
    """Return options that all fit when whatever is replaced goes before its successors come, None if none are found."""
    table = _set_table(parties, sites, free)
    return _fill(_hardest_first(parties), sites, table)


def _fill(seats: Sequence[tuple[Party, Seat]], sites: Sites, table: Table) -> dict[Key, Option] | None:
    """Return an option for every seat, found by going back from dead ends; None, and the table as it was, if none."""
    untried: list[Iterator[Option]] = []
    chosen: list[tuple[str, Option, list[tuple[Pool, int, int]]]] = []
    dead_ends = 0
    while len(chosen) < len(seats):
        party, seat = seats[len(chosen)]
        if len(untried) == len(chosen):
            untried.append(iter(_ranked(party, seat, sites, table)))
        option = next(untried[-1], None)
        if option is not None:
            chosen.append((party.model, option, table.take(party.model, option)))
            continue
        untried.pop()
        dead_ends += 1
        if not chosen or dead_ends > PATIENCE:
            while chosen:
                table.put_back(*chosen.pop())
            return None
        table.put_back(*chosen.pop())
    return {
        (party.model, seat.target, seat.slot): option
        for (party, seat), (_, option, _) in zip(seats, chosen, strict=True)
    }


def _ranked(party: Party, seat: Seat, sites: Sites, table: Table) -> list[Option]:
    """Return the options of a seat, best first: where it was, then where fewest of its model are, then the tightest."""
    model, target = party.model, seat.target
    found: list[tuple[tuple[object, ...], Option]] = []
    for number, place in enumerate(sites.places.get(target, ())):
        count = table.counts.get((model, target, place.name), 0)
        if party.spread == "host" and count:
            continue
        crowd = 0 if party.spread == "none" else count
        found += (
            ((not _is_same(option.spot, seat.was), crowd, option.waste, number), option)
            for option in options(table.site(model, target, place), seat.asked)
        )
    found.sort(key=itemgetter(0))
    return [option for _, option in found]


def _is_same(spot: Spot, was: Spot | None) -> bool:
    """Return whether a spot is on the devices where a replica was, however much of them it has."""
    return (
        was is not None
        and spot.place == was.place
        and {share.device for share in spot.devices} == {share.device for share in was.devices}
    )


def _as_they_come(parties: Sequence[Party], sites: Sites, free: Held) -> Found:
    """Return what can be placed one after the other, and what then cannot."""
    table = _set_table(parties, sites, free)
    spots: dict[Key, Spot] = {}
    missing: dict[tuple[str, str], Missing] = {}
    for party, seat in _hardest_first(parties):
        option = next(iter(_ranked(party, seat, sites, table)), None)
        key = (party.model, seat.target)
        if option is not None:
            table.take(party.model, option)
            spots[*key, seat.slot] = option.spot
        elif key in missing:
            missing[key] = replace(missing[key], count=missing[key].count + 1)
        else:
            every = sites.places.get(seat.target, ())
            missing[key] = Missing(party, seat, tuple(table.kept(party.model, seat.target, place) for place in every))
    return Found(spots, tuple(missing.values()))


# ---------------------------------------------------------------- room beside the old


def _comfort(parties: Sequence[Party], sites: Sites, free: Held, given: Mapping[Key, Option]) -> dict[Key, Option]:
    """Return `given`, with better spots for the models that can have them while all others keep what they need."""
    better = dict(given)
    left, reserved = dict(free), dict.fromkeys(free, 0)
    leasts = [least(party.load(given)) for party in parties]
    for mine in leasts:
        add(reserved, mine)
    for party, mine in zip(parties, leasts, strict=True):
        add(reserved, mine, -1)
        spare = {pool: size - reserved.get(pool, 0) for pool, size in left.items()} if _moves(party) else {}
        takes = mine
        for way in _ways(party) if _moves(party) else ():
            found = _walk(party, way, sites, spare)
            if found is not None and fits(peak(party.load(found), way), spare):
                better |= found
                takes = peak(party.load(found), way)
                break
        add(left, takes, -1)
    return better


def _moves(party: Party) -> bool:
    """Return whether better spots than the first ones found may be there: some go while others come."""
    return bool(party.replaced or (party.coming and party.leaving))


def _ways(party: Party) -> Iterator[Way]:
    count = len(party.replaced)
    if not count and party.leaving:
        yield Way(Rollout.FIRST)  # beside what leaves
    if count:
        yield Way(Rollout.SURGE, count)
        yield from (Way(Rollout.ROLLING, batch) for batch in range(count - 1, 0, -1))
        yield Way(Rollout.SWAP, 1)


def _walk(party: Party, way: Way, sites: Sites, free: Held) -> dict[Key, Option] | None:
    """Return the options that `way` finds wave by wave, None where a wave does not fit."""
    table = Table(sites.room, free)
    swaps = way.rollout is Rollout.SWAP
    table.seat(party, gives=party.leaving if swaps else ())
    found: dict[Key, Option] = {}
    for wave in waves(way, len(party.replaced)):
        seats = party.replaced[wave]
        last = party.coming if way.rollout is Rollout.SURGE else ()
        if swaps:
            table.give(party, (seat.old for seat in seats))
        got = _fill([(party, seat) for seat in (*seats, *last)], sites, table)
        if got is None:
            return None
        found |= got
        if way.rollout is Rollout.ROLLING:
            table.give(party, (seat.old for seat in seats))
    if way.rollout is not Rollout.SURGE:
        got = _fill([(party, seat) for seat in party.coming], sites, table)
        if got is None:
            return None
        found |= got
    return found
