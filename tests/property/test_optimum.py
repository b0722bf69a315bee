"""Placement against trying everything, on more than 500 random small instances: always the optimum of the objective.

What is tried here knows the objective from docs/decisions/0018 alone, and none of the code that searches.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, count, product
from math import ceil, prod

import pytest

from infctl.placement.fit import Asked
from infctl.placement.objective import APART, CROSSED, DOLLAR, FETCH, MIXED, MOVE, PAID, PAIR, STEP
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.room import Pool, Room
from infctl.placement.spots import Found, place_replicas
from infctl.provider.values import Device, Place, Purchase, Share, Spot

ASKED = (
    Asked(10), Asked(30), Asked(10, 1), Asked(10, 1, 30), Asked(20, 1, 50), Asked(10, 2), Asked(10, 2, 20),
    Asked(10, 1, 0, 0.5), Asked(5, 1, product="L40S"),
)  # fmt: skip
FEASIBLE = 600  # instances that have room for all; about as many again have not
WAYS = range(4, 500)  # that brute force tries of one instance


@dataclass(frozen=True)
class Had:
    """What one replica is given: a place, by number, the numbers of its devices, and of which choice."""

    place: int
    devices: tuple[int, ...]
    step: int


@dataclass
class Instance:
    parties: list[Party]
    sites: Sites

    def __post_init__(self) -> None:
        self.places = [(target, place) for target, mine in self.sites.places.items() for place in mine]
        self.seats = [(party, seat) for party in self.parties for seat in party.seats]


def instance(seed: int) -> Instance:
    chance = random.Random(seed)
    targets = ("rack", "burst")[: chance.choice((1, 1, 2))]
    places: dict[str, tuple[Place, ...]] = {}
    for target in targets:
        places[target] = tuple(_host(chance, f"{target}{n}") for n in range(chance.randint(1, 3)))
    free = {}
    whole = {}
    for target, mine in places.items():
        for place in mine:
            free[Pool(target, place.name)] = place.memory_free
            for device in place.devices:
                pool = Pool(target, place.name, device.uuid)
                free[pool] = device.memory_free
                if not device.taken:
                    whole[pool] = device.memory_free
    most = {name: chance.randint(0, 2) for name in targets if chance.random() < 0.3}
    sites = Sites(places, Room(free, whole), most, {name for name in targets if chance.random() < 0.15})
    names = [f"m{n}" for n in range(chance.randint(1, 3))]
    return Instance([_party(chance, name, names, sites) for name in names], sites)


def _host(chance: random.Random, name: str) -> Place:
    sizes = [chance.choice((40, 80)) for _ in range(chance.randint(0, 4))]
    product_name = chance.choice(("NVIDIA L40S", "NVIDIA L40"))
    devices = []
    for index, size in enumerate(sizes):
        used = chance.choice((0, 0, 0, 20))
        island = chance.choice(("", "", "", "a"))
        named = product_name if chance.random() < 0.8 else "NVIDIA L4"
        devices.append(Device(index, f"{name}g{index}", named, size, size - used, used > 0, island=island))
    price = chance.choice((None, 0.85, 4.0))
    ways: tuple[Purchase, ...] = ("owned", "owned", "reserved", "on_demand", "spot")
    paid = chance.choice(ways)
    return Place(
        name, 8, 100, chance.choice((30, 100, 100)), tuple(devices), price, paid, chance.choice(("", "z1", "z2")),
        most=chance.choice((1, 1, None)),
    )  # fmt: skip


def _party(chance: random.Random, name: str, names: Sequence[str], sites: Sites) -> Party:
    asked = chance.choice(ASKED)
    seats = []
    for slot in range(chance.randint(0, 3)):
        first, *others = chance.sample(list(sites.places), len(sites.places))
        elsewhere = tuple((other, chance.choice((asked, chance.choice(ASKED)))) for other in others)
        seats.append(Seat(first, slot, asked, elsewhere=elsewhere if chance.random() < 0.6 else ()))
    every = [(target, place) for target, mine in sites.places.items() for place in mine]
    had = [_was(chance, seat, sites) for seat in seats]
    replaced = tuple(
        replace(seat, old=sites.room.held_at(seat.target, was, 10), was=was, runs=chance.random() < 0.5)
        for seat, was in zip(seats, had, strict=True)
        if was is not None
    )
    target, place = chance.choice(every)
    return Party(
        name,
        replaced,
        tuple(seat for seat, was in zip(seats, had, strict=True) if was is None),
        (),
        {(target, place.name): 1} if chance.random() < 0.3 else {},
        chance.choice(("", "", "host", "zone", "none")),
        tuple(other for other in names if other != name and chance.random() < 0.3),
        chance.choice((0, 0, 0, 1)),
    )


def _was(chance: random.Random, seat: Seat, sites: Sites) -> Spot | None:
    """Return where a replica was before, for some: it gives back what it had there."""
    place = chance.choice(sites.places[seat.target])
    whole = [d for d in place.devices if Pool(seat.target, place.name, d.uuid) in sites.room.whole]
    if chance.random() < 0.7 or not whole:
        return None
    return Spot(place.name, (Share(chance.choice(whole).uuid, 20),))


# ---------------------------------------------------------------- trying everything


def ways(trial: Instance, seat: Seat) -> Iterator[Had]:
    """Yield each way to seat a replica as if it were alone."""
    for step, (target, asked) in enumerate(seat.choices):
        for number, (of, place) in enumerate(trial.places):
            if of != target:
                continue
            for chosen in combinations(range(len(place.devices)), asked.devices):
                if islands_of(place, chosen) > 1 and asked.devices <= _largest_island(place, asked):
                    continue
                if asked.product and any(place.devices[n].product != f"NVIDIA {asked.product}" for n in chosen):
                    continue
                yield Had(number, chosen, step)


def islands_of(place: Place, devices: Sequence[int]) -> int:
    return len({place.devices[number].island for number in devices})


def _largest_island(place: Place, asked: Asked) -> int:
    will_do = [d.island for d in place.devices if not asked.product or d.product == f"NVIDIA {asked.product}"]
    return max((will_do.count(island) for island in will_do), default=0)


def takes(trial: Instance, seat: Seat, had: Had) -> dict[Pool, int]:
    target, place = trial.places[had.place]
    asked = seat.choices[had.step][1]
    taken = {Pool(target, place.name): asked.memory}
    for number in had.devices:
        device = place.devices[number]
        pool = Pool(target, place.name, device.uuid)
        part = asked.share or ceil(asked.fraction * device.memory_total)
        taken[pool] = part or trial.sites.room.whole.get(pool, 10**9)
    return taken


def is_allowed(trial: Instance, chosen: Sequence[Had]) -> bool:
    by_model: dict[str, dict[Pool, int]] = {}
    for (party, seat), had in zip(trial.seats, chosen, strict=True):
        mine = by_model.setdefault(party.model, {})
        for pool, size in takes(trial, seat, had).items():
            mine[pool] = mine.get(pool, 0) + size
    left = dict(trial.sites.room.free)
    for party in trial.parties:
        back: dict[Pool, int] = {}
        for seat in party.replaced:
            for pool, size in seat.old.items():
                back[pool] = back.get(pool, 0) + size
        for pool, size in by_model.get(party.model, {}).items():
            left[pool] = left.get(pool, 0) - max(0, size - back.get(pool, 0))
    if any(size < 0 for size in left.values()):
        return False
    return (
        _begins_few_enough(trial, chosen)
        and _are_single(trial, chosen)
        and all(_keeps_its_word(trial, p, chosen) for p in trial.parties)
    )


def _are_single(trial: Instance, chosen: Sequence[Had]) -> bool:
    """Return whether nobody comes to a place of a single target, one that does not stand yet, where another is."""
    staying = {name for party in trial.parties for name, count in party.staying.items() if count}
    single = [n for n, (of, place) in enumerate(trial.places) if of in trial.sites.single and place.most != 1]
    at = [had.place for had in chosen if had.place in single]
    return len(at) == len(set(at)) and not any((trial.places[n][0], trial.places[n][1].name) in staying for n in at)


def _begins_few_enough(trial: Instance, chosen: Sequence[Had]) -> bool:
    """Return whether of the places of each target that do not stand yet no more are begun than may be."""
    staying = {name for party in trial.parties for name, count in party.staying.items() if count}
    for target, most in trial.sites.most.items():
        open_ = [n for n, (of, place) in enumerate(trial.places) if of == target and place.most != 1]
        begun = [n for n in open_ if (target, trial.places[n][1].name) in staying]
        new = {had.place for had in chosen if had.place in open_} - set(begun)
        if new and len(begun) + len(new) > most:
            return False
    return True


def _keeps_its_word(trial: Instance, party: Party, chosen: Sequence[Had]) -> bool:
    at = [had.place for (owner, _), had in zip(trial.seats, chosen, strict=True) if owner is party]
    names = [(target, place.name) for target, place in trial.places]
    stays = [number for number, name in enumerate(names) for _ in range(party.staying.get(name, 0))]
    if party.spread in {"host", "zone"}:
        mark = [trial.places[n][1].zone if party.spread == "zone" else str(n) for n in (*at, *stays)]
        if any(mark[: len(at)].count(one) > 1 or one in mark[len(at) :] for one in mark[: len(at)]):
            return False
    on_spot = sum(1 for n in (*at, *stays) if trial.places[n][1].purchase == "spot")
    new_on_spot = any(trial.places[n][1].purchase == "spot" for n in at)
    return not (party.steady and new_on_spot and on_spot > len(at) + len(stays) - party.steady)


def cost_of(trial: Instance, chosen: Sequence[Had]) -> int:
    """Return the objective of a whole placement, term by term as the decision record has them."""
    room = dict(trial.sites.room.free)
    guests: dict[tuple[str, int], int] = {}
    for party in trial.parties:
        for seat in party.replaced:
            for pool, size in seat.old.items():
                room[pool] = room.get(pool, 0) + size
        for number, (target, place) in enumerate(trial.places):
            guests[party.model, number] = party.staying.get((target, place.name), 0)
    before = _holes(trial, room) - _company(trial, guests)
    cost = 0
    for (party, seat), had in zip(trial.seats, chosen, strict=True):
        guests[party.model, had.place] += 1
        for pool, size in takes(trial, seat, had).items():
            room[pool] = room.get(pool, 0) - size
        cost += _own_cost(trial, seat, had)
    return cost + before + _company(trial, guests) - _holes(trial, room)


def _own_cost(trial: Instance, seat: Seat, had: Had) -> int:
    """Return what a replica costs wherever the others are."""
    target, place = trial.places[had.place]
    devices = [place.devices[number] for number in had.devices]
    cost = STEP * had.step + PAID[place.purchase] + MIXED * max(0, len({d.product for d in devices}) - 1)
    cost += CROSSED * max(0, islands_of(place, had.devices) - 1)
    is_whole = seat.choices[had.step][1].is_whole
    taken = takes(trial, seat, had)
    for device in devices:
        rate = round((place.price or 0) * DOLLAR)
        cost += rate if is_whole else rate * taken[Pool(target, place.name, device.uuid)] // device.memory_total
    if seat.was is not None:
        before = (seat.target, seat.was.place, {share.device for share in seat.was.devices})
        if before != (target, place.name, {device.uuid for device in devices}):
            cost += MOVE * max(1, len(seat.was.devices)) if seat.runs else FETCH
    return cost


def _company(trial: Instance, guests: dict[tuple[str, int], int]) -> int:
    cost = 0
    for party in trial.parties:
        for number in range(len(trial.places)):
            together = guests.get((party.model, number), 0)
            if not party.spread:
                cost += PAIR * together * (together - 1) // 2
            cost += APART * sum(together for mate in party.mates if not guests.get((mate, number)))
    return cost


def _holes(trial: Instance, room: dict[Pool, int]) -> int:
    sizes = [d.memory_total for _, place in trial.places for d in place.devices]
    grain = max(1, ceil(max(sizes, default=0) / 16))
    memory_grain = ceil(100 / 16)
    total = 0
    for target, place in trial.places:
        total += (max(0, room[Pool(target, place.name)]) // memory_grain) ** 2
        for island in {device.island for device in place.devices}:
            untouched = 0
            for device in (each for each in place.devices if each.island == island):
                pool = Pool(target, place.name, device.uuid)
                whole = trial.sites.room.whole.get(pool)
                if whole is not None and room[pool] >= whole:
                    untouched += device.memory_total // grain
                else:
                    total += (max(0, room[pool]) // grain) ** 2
            total += untouched**2
    return total


def best_cost(trial: Instance) -> int | None:
    """Return the least cost of all ways, None where there is none."""
    every = [list(ways(trial, seat)) for _, seat in trial.seats]
    return min((cost_of(trial, chosen) for chosen in product(*every) if is_allowed(trial, chosen)), default=None)


def count_ways(trial: Instance) -> int:
    return prod(len(list(ways(trial, seat))) for _, seat in trial.seats)


def instances(first: int, ways: range = WAYS) -> Iterator[tuple[int, Instance]]:
    """Yield instances that brute force can try, each with its seed; of those that are too large the first replicas."""
    for seed in count(first):
        trial = instance(seed)
        while count_ways(trial) >= ways.stop:
            trial = Instance(_one_fewer(trial.parties), trial.sites)
        if count_ways(trial) in ways:
            yield seed, trial


def _one_fewer(parties: Sequence[Party]) -> list[Party]:
    last = next(n for n in reversed(range(len(parties))) if parties[n].seats)
    party = parties[last]
    fewer = replace(party, coming=party.coming[:-1]) if party.coming else replace(party, replaced=party.replaced[:-1])
    return [*parties[:last], fewer, *parties[last + 1 :]]


def given(trial: Instance, found: Found) -> list[Had]:
    """Return what was found in the words of brute force."""
    chosen = []
    for party, seat in trial.seats:
        option = found.spots[party.model, seat.target, seat.slot]
        number = next(
            n for n, (of, place) in enumerate(trial.places) if (of, place.name) == (option.target, option.spot.place)
        )
        uuids = {share.device for share in option.spot.devices}
        devices = tuple(n for n, device in enumerate(trial.places[number][1].devices) if device.uuid in uuids)
        step = next(step for step, (target, _) in enumerate(seat.choices) if target == option.target)
        chosen.append(Had(number, devices, step))
    return chosen


@pytest.mark.parametrize("part", range(10))
def test_the_optimum_is_found_and_never_missed(part: int) -> None:
    feasible = 0
    for seed, trial in instances(part * 10_000):
        if feasible == FEASIBLE // 10:
            break
        best = best_cost(trial)
        found = place_replicas(trial.parties, trial.sites)
        if best is None:
            assert found.missing, seed
            assert found.is_sure, seed
            continue
        feasible += 1
        assert not found.missing, seed
        assert (found.cost, found.least) == (best, best), seed
        if not any(party.replaced for party in trial.parties):  # else comfort may choose others
            chosen = given(trial, found)
            assert is_allowed(trial, chosen), seed
            assert cost_of(trial, chosen) == best, seed
