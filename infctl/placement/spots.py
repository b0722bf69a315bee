"""Owns where replicas run on targets whose places we choose: which place, and what they have of its devices. Pure.

Places are found for all models at once, so that none takes what another cannot do without; then each that replaces
replicas gets, as far as there is room beside the others, spots that let its new ones stand beside the old.
Knows neither models' specs nor state: only what each replica needs and what is free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from infctl.frozen import dataclass
from infctl.placement.board import Board
from infctl.placement.fit import Option
from infctl.placement.parties import Key, Missing, Party, Sites
from infctl.placement.room import Held, Pool, Rollout, Way, add, fits, least, peak, waves
from infctl.placement.search import LOOKS, TRIFLE, Filled, Full, Tell, fill, is_large

LOOKS_IN_WAVES = 1_000  # that each wave of a rollout is worth: there are many, and comfort is no question of life


@dataclass(frozen=True, slots=True)
class Found:
    """Where each replica goes. `missing` are those that go nowhere; `is_sure` where nothing else could be done.

    `cost` is what all of it is worth, `least` what it cannot be less than, in the objective's units; before comfort.
    """

    spots: Mapping[Key, Option]
    missing: tuple[Missing, ...] = ()
    cost: int = 0
    least: int = 0
    is_sure: bool = True

    @property
    def gap(self) -> float:
        """How much of its cost could be saved at the most; 0.0 where that is a trifle."""
        return (self.cost - self.least) / self.cost if self.cost - self.least > TRIFLE else 0.0


def place_replicas(parties: Sequence[Party], sites: Sites, tell: Tell = lambda *_: None, looks: int = LOOKS) -> Found:
    """Return a spot for each seat of `parties`: of all ways, one that costs least, or nearly (see Found).

    First for all at once as little as possible is taken: who is replaced may go where it was. Where that is too
    little, all that only leaves, of any party, goes first. `tell` hears how far it is; `looks` bounds the effort.
    """
    free = sites.room.free
    found = _search(parties, sites, free, tell, looks)
    if isinstance(found, Full) and any(party.leaving for party in parties):
        free = dict(free)
        for held in chain.from_iterable(party.leaving for party in parties):
            add(free, held)
        parties = [replace(party, leaving=()) for party in parties]
        found = _search(parties, sites, free, tell, looks)
    if isinstance(found, Full):
        return _as_they_come(parties, sites, free, is_sure=found.is_sure)
    given = found.given if sites.most else _comfort(parties, sites, free, found.given)  # which looks at one at a time
    return Found(given, (), found.cost, found.least)


def move_others(parties: Sequence[Party], others: Sequence[Party], sites: Sites, looks: int = LOOKS) -> Found | None:
    """Return a spot for each seat of `parties`, and of `others` for those that move for them, as few as can be; None
    where none are found. Whoever moves does so first, to what is free now, beside where it runs.
    """
    free = dict(sites.room.free)
    for seat in (seat for party in others for seat in party.standing):
        add(free, seat.old)
    every = [*parties, *(replace(party, replaced=party.standing, standing=()) for party in others)]
    seats = [(party, seat) for party in every for seat in party.seats]
    board = Board(every, sites, free, exact=not is_large(len(seats), sum(map(len, sites.places.values()))))
    for party in parties:
        board.give(party.model, (*(seat.old for seat in party.replaced), *party.leaving))
    found = fill(board, seats, looks=looks)
    if isinstance(found, Full):
        return None
    stays = {(party.model, s.target, s.slot): s.was for party in others for s in party.standing}
    spots = {key: option for key, option in found.given.items() if option.spot != stays.get(key)}
    come: dict[Pool, int] = {}
    for key in spots.keys() & stays.keys():
        add(come, spots[key].held)
    return Found(spots, (), found.cost, found.least) if fits(come, sites.room.free) else None


def can_place(parties: Sequence[Party], sites: Sites) -> bool:
    """Return whether a place for all is soon found, at the last where what only leaves is gone."""
    free = dict(sites.room.free)
    for held in chain.from_iterable(party.leaving for party in parties):
        add(free, held)
    parties = [replace(party, leaving=()) for party in parties]
    return isinstance(_search(parties, sites, free, lambda *_: None, LOOKS_IN_WAVES), Filled)


def _search(parties: Sequence[Party], sites: Sites, free: Held, tell: Tell, looks: int) -> Filled | Full:
    """Return options that all fit when whatever is replaced goes before its successors come."""
    seats = [(party, seat) for party in parties for seat in party.seats]
    places = sum(map(len, sites.places.values()))
    board = _set_board(parties, sites, free, exact=not is_large(len(seats), places))
    return fill(board, seats, tell, looks)


def _set_board(parties: Sequence[Party], sites: Sites, free: Held, *, exact: bool = False) -> Board:
    board = Board(parties, sites, free, exact=exact)
    for party in parties:
        board.give(party.model, (*(seat.old for seat in party.replaced), *party.leaving))
    return board


def _as_they_come(parties: Sequence[Party], sites: Sites, free: Held, *, is_sure: bool) -> Found:
    """Return what can be placed one after the other, and what then cannot."""
    board = _set_board(parties, sites, free)
    spots: dict[Key, Option] = {}
    missing: dict[tuple[str, str], Missing] = {}
    every = [(party, seat) for party in parties for seat in party.seats]
    for party, seat in sorted(every, key=lambda each: each[1].asked.size, reverse=True):
        candidate = board.cheapest(party, seat)
        key = (party.model, seat.target)
        if candidate is not None:
            board.take(party.model, candidate)
            spots[*key, seat.slot] = board.option(candidate)
        elif key in missing:
            missing[key] = replace(missing[key], count=missing[key].count + 1)
        else:
            places = chain.from_iterable(board.sites(party.model, target) for target, _ in seat.choices)
            missing[key] = Missing(party, seat, tuple(places))
    return Found(spots, tuple(missing.values()), is_sure=is_sure)


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
    board = Board([party], sites, free)
    swaps = way.rollout is Rollout.SWAP
    board.give(party.model, party.leaving if swaps else ())
    found: dict[Key, Option] = {}
    for wave in waves(way, len(party.replaced)):
        seats = party.replaced[wave]
        last = party.coming if way.rollout is Rollout.SURGE else ()
        if swaps:
            board.give(party.model, (seat.old for seat in seats))
        got = fill(board, [(party, seat) for seat in (*seats, *last)], looks=LOOKS_IN_WAVES)
        if isinstance(got, Full):
            return None
        found |= got.given
        if way.rollout is Rollout.ROLLING:
            board.give(party.model, (seat.old for seat in seats))
    if way.rollout is not Rollout.SURGE:
        got = fill(board, [(party, seat) for seat in party.coming], looks=LOOKS_IN_WAVES)
        if isinstance(got, Full):
            return None
        found |= got.given
    return found
