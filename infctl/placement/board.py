"""Owns what is still free while spots are given out, and what each next replica would cost where. Pure.

Room is there for all, and besides for each model what it gives back itself. Places that are alike are kept together,
so that one of them stands for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from operator import add, sub

from infctl.placement.fit import Asked, Option
from infctl.placement.lots import NOTHING, Bound, Candidate, Lot, Taken, lots_of, moved, paid, positions_of
from infctl.placement.objective import APART, PAIR, STEP
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.room import Held, Pool
from infctl.placement.shape import Fit, Parts, Row, Site, filled, fit_at, fits, least_hole, least_taken, most
from infctl.provider.values import Share, Spot


class Board:
    """`exact`: places are alike only where the same models are there too, as trying everything needs it."""

    def __init__(self, parties: Iterable[Party], sites: Sites, free: Held, *, exact: bool = False) -> None:
        parties = tuple(parties)
        self.exact = exact
        self.minds_tolls = True
        self.company = {party.model for party in parties if _has_company(party)}
        self.lots = list(lots_of(sites, free))
        every = [place for places in sites.places.values() for place in places]
        asked = [each for party in parties for seat in party.seats for _, each in seat.choices]
        self.parts = Parts(
            tuple(sorted({each.share for each in asked if each.devices and each.share})),
            tuple(sorted({each.fraction for each in asked if each.devices and not each.share and not each.is_whole})),
        )
        self.grains = (
            _fine(device.memory_total for place in every for device in place.devices),
            _fine(place.memory_total for place in every),
        )
        self.by_name = {(lot.target, lot.place.name): lot for lot in self.lots}
        self._marks: dict[object, int] = {}
        self.alike: dict[str, dict[int, set[int]]] = {target: {} for target in sites.places}
        self.mates: dict[str, tuple[str, ...]] = {}
        self.liked_by: dict[str, tuple[str, ...]] = {}
        self.zones: dict[tuple[str, str], int] = {}
        self.spots: dict[str, int] = {}
        self.owners: set[str] = set()
        self.given: dict[tuple[str, int], Row] = {}
        self.most, self.single = sites.most, sites.single
        self.begun: dict[str, int] = {}  # by target, the places that do not stand yet and that somebody is put at
        self.met: dict[str, set[int]] = {}  # by model, the lots that stand alone for it
        self._fits: dict[tuple[object, ...], tuple[Fit, ...]] = {}
        self._bounds: dict[tuple[int, Asked, str], Bound] = {}
        self._plains: dict[tuple[int, Asked, bool], tuple[int, tuple[int, ...]] | None] = {}
        for party in parties:
            for seat in party.replaced:
                self._claim(seat)
        for lot in self.lots:
            self._enter(lot)
        for party in parties:
            self.mates[party.model] = party.mates
            for mate in party.mates:
                self.liked_by[mate] = (*self.liked_by.get(mate, ()), party.model)
                self.company.add(mate)
            for name, count in party.staying.items():
                if name in self.by_name:
                    self._count(self.by_name[name], party.model, count)

    def _claim(self, seat: Seat) -> None:
        """Tell the devices that a replica had from others: to have these again costs it less."""
        lot = self.by_name.get((seat.target, seat.was.place)) if seat.was is not None else None
        if lot is not None and seat.was is not None:
            lot.claimed |= positions_of(seat.was, lot)
            if self.exact:
                lot.kinds = tuple(
                    -1 - lot.number if position in lot.claimed else kind for position, kind in enumerate(lot.kinds)
                )

    def give(self, model: str, gives: Iterable[Held]) -> None:
        """Count what a model gives back: it alone may have it now, and anybody in the end."""
        for held in gives:
            for pool, size in held.items():
                if size and (lot := self.by_name.get((pool.target, pool.place))) is not None:
                    self._give(lot, model, pool, size)

    def _give(self, lot: Lot, model: str, pool: Pool, size: int) -> None:
        uuids = ("", *(device.uuid for device in lot.place.devices))
        more = tuple(size if uuid == pool.device else 0 for uuid in uuids)
        self.owners.add(model)
        self._leave(lot)
        own = lot.owns.get(model, (0,) * len(uuids))
        lot.owns[model] = tuple(map(add, own, more))
        lot.final = tuple(map(add, lot.final, more))
        key = (model, lot.number)
        self.given[key] = tuple(map(add, self.given.get(key, (0,) * len(uuids)), more))
        self.met.setdefault(model, set()).add(lot.number)
        self._enter(lot)

    # ------------------------------------------------------------ taking and putting back

    def take(self, model: str, candidate: Candidate) -> Taken:
        """Seat a replica; the model's own room is taken first."""
        lot = self.lots[candidate.lot]
        sizes = [candidate.asked.memory, *(0,) * len(lot.place.devices)]
        for position, size in zip(candidate.fit.positions, candidate.fit.takes, strict=True):
            sizes[position + 1] = size
        self._move(lot, model, tuple(sizes))
        self._count(lot, model, 1)
        return Taken(model, lot.number, tuple(sizes))

    def put_back(self, taken: Taken) -> None:
        """Unseat a replica, in whatever order they came: what its model took of all is given back first."""
        lot = self.lots[taken.lot]
        self._count(lot, taken.model, -1)
        self._move(lot, taken.model, tuple(-size for size in taken.sizes))

    def _move(self, lot: Lot, model: str, sizes: Row) -> None:
        self._leave(lot)
        lot.final = tuple(map(sub, lot.final, sizes))
        own = lot.owns.get(model)
        if own is None:
            lot.free = tuple(map(sub, lot.free, sizes))
        else:
            given, drawn = self.given[model, lot.number], lot.drawn.get(model, (0,) * len(sizes))
            drawn = tuple(map(add, drawn, sizes))
            before = tuple(map(sub, given, own))  # what it has of its own
            after = tuple(map(min, drawn, (max(0, most) for most in given)))
            lot.drawn[model] = drawn
            lot.owns[model] = tuple(map(sub, given, after))
            lot.free = tuple(f - (s - (a - b)) for f, s, a, b in zip(lot.free, sizes, after, before, strict=True))
        self._enter(lot)

    def _count(self, lot: Lot, model: str, by: int) -> None:
        self._leave(lot)
        was_begun = bool(lot.guests)
        count = lot.guests.get(model, 0) + by
        if count:
            lot.guests[model] = count
            self.met.setdefault(model, set()).add(lot.number)
        else:
            del lot.guests[model]
            if model not in lot.owns:
                self.met[model].discard(lot.number)
        if lot.place.most != 1:
            self.begun[lot.target] = self.begun.get(lot.target, 0) + bool(lot.guests) - was_begun
        zone = (model, lot.place.zone)
        self.zones[zone] = self.zones.get(zone, 0) + by
        if lot.place.purchase == "spot":
            self.spots[model] = self.spots.get(model, 0) + by
        self._enter(lot)

    def _enter(self, lot: Lot) -> None:
        guests = tuple(sorted((m, n) for m, n in lot.guests.items() if m in self.company)) if self.exact else ()
        lot.mark = self._marks.setdefault(lot.tell(guests), len(self._marks))
        self.alike[lot.target].setdefault(lot.mark, set()).add(lot.number)

    def _leave(self, lot: Lot) -> None:
        kind = self.alike[lot.target]
        members = kind[lot.mark]
        members.discard(lot.number)
        if not members:
            del kind[lot.mark]

    # ------------------------------------------------------------ what may be had, and for how much

    def classes(
        self, party: Party, seat: Seat, without: Collection[int] = NOTHING
    ) -> Iterator[tuple[tuple[Candidate, ...], frozenset[int]]]:
        """Yield for each kind of place that has room the candidates at one of it, and the numbers of all of it."""
        alone = self.alone(party, seat)
        for step, (target, _) in enumerate(seat.choices):
            for members in list(self.alike.get(target, {}).values()):
                single = members & alone
                rest = members.difference(alone, without)
                for some in ([rest] if rest else []) + [{number} for number in sorted(single.difference(without))]:
                    if found := self.candidates_at(party, seat, self.lots[min(some)], step):
                        yield found, frozenset(some)

    def cheapest(self, party: Party, seat: Seat) -> Candidate | None:
        """Return the cheapest way to seat a replica now, tolls counted, the first of those that cost the same."""
        best: tuple[tuple[int, tuple[int, ...], int], int] | None = None
        alone = self.alone(party, seat)
        for step, (target, asked) in enumerate(seat.choices):
            beside = STEP * step + APART * len(party.mates) + moved(seat, False, (), NOTHING)
            for mark, members in self.alike.get(target, {}).items():
                rest = members if alone.isdisjoint(members) else members - alone
                if rest and not self.is_barred(party, lot := self.lots[min(rest)]):
                    found = self._plain(lot, mark, asked)
                    if found is not None:
                        rank = (found[0] + beside, found[1], lot.number)
                        best = (rank, step) if best is None else min(best, (rank, step))
            for lot in (self.lots[number] for number in alone):
                if lot.target == target and (some := self.candidates_at(party, seat, lot, step)):
                    rank = (self.rank(some[0]), some[0].fit.scattered[:3], lot.number)
                    best = (rank, step) if best is None else min(best, (rank, step))
        return self.candidates_at(party, seat, self.lots[best[0][2]], best[1])[0] if best is not None else None

    def _plain(self, lot: Lot, mark: int, asked: Asked) -> tuple[int, tuple[int, ...]] | None:
        """Return what the cheapest way costs at a place where nobody is that the replica minds, and how it lies."""
        key = (mark, asked, self.minds_tolls)
        if key not in self._plains:
            ways = (
                Candidate(fit.cost + paid(lot, fit, asked), lot.number, fit, asked)
                for fit in self._fits_at("", lot, asked)
            )
            self._plains[key] = min(
                ((self.rank(each) + lot.paid, each.fit.scattered[:3]) for each in ways), default=None
            )
        return self._plains[key]

    def rank(self, candidate: Candidate) -> int:
        """Return what a candidate costs with the toll for what it takes of a place that others ask for too."""
        devices, memory = self.lots[candidate.lot].toll
        if not self.minds_tolls or not (devices or memory):
            return candidate.cost
        taken = sum(candidate.fit.takes) // self.grains[0], candidate.asked.memory // self.grains[1]
        return candidate.cost + devices * taken[0] + memory * taken[1]

    def alone(self, party: Party, seat: Seat) -> set[int]:
        """Return the lots that are not as others for this seat: its model or one it likes is there, or it was."""
        model, found = party.model, set[int]()
        for each in () if self.exact else (model, *party.mates, *self.liked_by.get(model, ())):
            found |= self.met.get(each, set())
        if seat.was is not None and (lot := self.by_name.get((seat.target, seat.was.place))) is not None:
            found.add(lot.number)
        return found

    def candidates_at(self, party: Party, seat: Seat, lot: Lot, step: int = 0) -> tuple[Candidate, ...]:
        """Return the ways to seat a replica at a place, the cheapest first; `step` says which choice of it that is."""
        if self.is_barred(party, lot):
            return ()
        asked = seat.choices[step][1]
        here = seat.was is not None and (lot.target, lot.place.name) == (seat.target, seat.was.place)
        was = positions_of(seat.was, lot) if here and seat.was else NOTHING
        base = STEP * step + lot.paid + self.company_cost(party, lot)
        found = [
            Candidate(
                base + fit.cost + paid(lot, fit, asked) + moved(seat, here, fit.positions, was),
                lot.number,
                fit,
                asked,
            )
            for fit in self._fits_at(party.model, lot, asked, was)
        ]
        return tuple(sorted(found, key=lambda each: (self.rank(each), each.fit.scattered)))

    def again(self, party: Party, seat: Seat, candidate: Candidate) -> Candidate:
        """Return a candidate that has just been put back at what it costs now."""
        lot, asked = self.lots[candidate.lot], candidate.asked
        step = next(step for step, (target, _) in enumerate(seat.choices) if target == lot.target)
        here = seat.was is not None and (lot.target, lot.place.name) == (seat.target, seat.was.place)
        was = positions_of(seat.was, lot) if here and seat.was else NOTHING
        fit = fit_at(lot.shape, lot.final, asked, candidate.fit.positions)
        cost = STEP * step + lot.paid + self.company_cost(party, lot)
        cost += fit.cost + paid(lot, fit, asked) + moved(seat, here, fit.positions, was)
        return Candidate(cost, lot.number, fit, asked)

    def _fits_at(self, model: str, lot: Lot, asked: Asked, was: frozenset[int] = NOTHING) -> tuple[Fit, ...]:
        own = lot.owns.get(model, ())
        key = (lot.shape, lot.claimed, lot.free, own, lot.final if lot.owns else (), asked, was)
        found = self._fits.get(key)
        if found is None:
            found = self._fits[key] = fits(lot.left(model), asked, was, lot.claimed)
        return found

    def is_barred(self, party: Party, lot: Lot) -> bool:
        """Return whether another replica of a model must not come to a place, whatever is free there."""
        if lot.place.most != 1 and lot.guests and lot.target in self.single:
            return True
        most = self.most.get(lot.target) if lot.place.most != 1 and not lot.guests else None
        if most is not None and self.begun.get(lot.target, 0) >= most:
            return True
        if party.spread == "host" and lot.guests.get(party.model):
            return True
        if party.spread == "zone" and self.zones.get((party.model, lot.place.zone)):
            return True
        return bool(party.steady) and lot.place.purchase == "spot" and not self.spots_left(party)

    def spots_left(self, party: Party) -> int:
        """Return how many more replicas of a model may be on spot instances."""
        every = len(party.seats) + sum(party.staying.values())
        return max(0, every - party.steady - self.spots.get(party.model, 0))

    def company_cost(self, party: Party, lot: Lot) -> int:
        """Return what it costs that the others of its model are there, and those it likes are not (or less than 0,
        where it is what others there miss).
        """
        cost = 0 if party.spread else PAIR * lot.guests.get(party.model, 0)
        for mate in party.mates:
            if not lot.guests.get(mate):
                cost += APART
        if not lot.guests.get(party.model):
            for other in self.liked_by.get(party.model, ()):
                cost -= APART * lot.guests.get(other, 0)
        return cost

    def bound_at(self, model: str, lot: Lot, asked: Asked) -> Bound:
        """Return what is sure of such replicas at a place, whatever else comes there."""
        key = (lot.mark, asked, model if model in lot.owns else "")
        found = self._bounds.get(key)
        if found is None:
            left = lot.left(model)
            grains = least_taken(left, asked, self.parts) // self.grains[0], asked.memory // self.grains[1]
            found = self._bounds[key] = Bound(most(left, asked), least_hole(left, asked), *grains)
        return found

    def charge(self, tolls: Mapping[int, tuple[int, int]]) -> None:
        """Have lots ask a toll for each grain of devices and of memory that is taken there, by number."""
        for number, toll in tolls.items():
            self._leave(self.lots[number])
            self.lots[number].toll = toll
            self._enter(self.lots[number])

    def size_of(self, lot: Lot) -> tuple[int, int]:
        """Return the grains of devices and of memory that can still be taken at a place."""
        slots = zip(lot.shape.slots, lot.final[1:], strict=True)
        devices = sum(filled(slot.total, left, self.parts) for slot, left in slots)
        return devices // self.grains[0], max(0, lot.final[0]) // self.grains[1]

    def option(self, candidate: Candidate) -> Option:
        """Return the spot of a candidate, and what it holds."""
        lot = self.lots[candidate.lot]
        devices = lot.place.devices
        held = {Pool(lot.target, lot.place.name): candidate.asked.memory}
        shares = []
        for position, size in zip(candidate.fit.positions, candidate.fit.takes, strict=True):
            uuid = devices[position].uuid
            held[Pool(lot.target, lot.place.name, uuid)] = size
            shares.append(Share(uuid, 0 if candidate.asked.is_whole else size))
        shares.sort(key=lambda share: next(d.index for d in devices if d.uuid == share.device))
        return Option(lot.target, Spot(lot.place.name, tuple(shares)), held)

    def sites(self, model: str, target: str) -> tuple[Site, ...]:
        """Return the places of a target as a model finds them now, whatever is given out later."""
        return tuple(Site(target, lot.place, lot.shape, lot.have(model)) for lot in self.lots if lot.target == target)


def _fine(sizes: Iterable[int]) -> int:
    """Return the bytes that tolls are counted by: fine enough that what is rounded off does not matter."""
    return max(1, max(sizes, default=0) // 4096)


def _has_company(party: Party) -> bool:
    """Return whether it matters to anybody where others of its model are."""
    return len(party.seats) + sum(party.staying.values()) > 1 or bool(party.mates or party.steady)
