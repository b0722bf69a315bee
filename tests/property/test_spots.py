"""Placement against trying everything: where there is room for all, room is found; and what is found fits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from infctl.placement.fit import Asked
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.room import Held, Pool, Room, add
from infctl.placement.shortage import no_room
from infctl.placement.spots import place_replicas
from infctl.provider.values import Device, Place, Share, Spot
from tests.property.test_apply import few

SIZES = st.lists(st.sampled_from([40, 80]), max_size=3)
ASKED = st.sampled_from(
    [Asked(10), Asked(10, 1), Asked(10, 1, 30), Asked(20, 1, 50), Asked(10, 2), Asked(10, 2, 20), Asked(10, 1, 0, 0.5)]
)
PARTIES = st.lists(st.tuples(ASKED, ASKED, st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=2)
MEMORY = st.sampled_from([20, 30, 100])


def sites_of(hosts: list[list[int]], memory: int) -> Sites:
    places = tuple(
        Place(f"h{n}", 8, 100, memory, tuple(Device(i, f"h{n}g{i}", "Toy", s, s) for i, s in enumerate(sizes)))
        for n, sizes in enumerate(hosts)
    )
    whole = {Pool("rack", p.name, d.uuid): d.memory_total for p in places for d in p.devices}
    free = {Pool("rack", p.name): p.memory_free for p in places} | whole
    return Sites({"rack": places}, Room(free, whole))


def every_option(sites: Sites, asked: Asked) -> Iterator[Held]:
    for place in sites.places["rack"]:
        for chosen in combinations(place.devices, asked.devices):
            held = {Pool("rack", place.name): asked.memory}
            for device in chosen:
                part = asked.share or ceil(asked.fraction * device.memory_total) or device.memory_total
                held[Pool("rack", place.name, device.uuid)] = part
            yield held


def there_is_room(parties: list[Party], sites: Sites) -> bool:
    """Return whether some choice for every seat fits, each model's replaced ones gone before its new ones come."""
    seats = [(party, seat) for party in parties for seat in party.seats]
    for chosen in product(*(list(every_option(sites, seat.asked)) for _, seat in seats)):
        totals: dict[Pool, int] = {}
        for party in parties:
            net: dict[Pool, int] = {}
            for (owner, _), held in zip(seats, chosen, strict=True):
                if owner is party:
                    add(net, held)
            for seat in party.replaced:
                add(net, seat.old, -1)
            add(totals, {pool: max(0, size) for pool, size in net.items()})
        if all(size <= sites.room.free.get(pool, 0) for pool, size in totals.items()):
            return True
    return False


def settled(sites: Sites, shapes: list[tuple[Asked, Asked, int, int]]) -> tuple[list[Party], Sites]:
    """Return parties whose old replicas stand where placement once put them, and what is free beside these."""
    first = [
        Party(f"m{n}", (), tuple(Seat("rack", slot, old) for slot in range(replaced)))
        for n, (old, _, replaced, _) in enumerate(shapes)
    ]
    spots = place_replicas(first, sites).spots
    free = dict(sites.room.free)
    parties = []
    for n, (_, new, replaced, coming) in enumerate(shapes):
        seats = []
        for slot in range(replaced):
            option = spots.get((f"m{n}", "rack", slot))
            if option is not None:
                spot = option.spot
                old = sites.room.held_at("rack", spot, shapes[n][0].memory)
                add(free, old, -1)
                seats.append(Seat("rack", slot, new, old, spot))
        more = tuple(Seat("rack", slot, new) for slot in range(replaced, replaced + coming))
        parties.append(Party(f"m{n}", tuple(seats), more))
    return parties, Sites(sites.places, Room(free, sites.room.whole))


@few
@given(st.lists(SIZES, min_size=1, max_size=2), MEMORY, PARTIES)
def test_room_is_found_exactly_where_there_is_some(
    hosts: list[list[int]], memory: int, shapes: list[tuple[Asked, Asked, int, int]]
) -> None:
    parties, sites = settled(sites_of(hosts, memory), shapes)
    found = place_replicas(parties, sites)
    assert (not found.missing) == there_is_room(parties, sites)


ONE = Asked(0, 1)


def rack(*sizes: int) -> Sites:
    return sites_of([list(sizes)] if sizes else [], 100)


def places(sites: Sites, party: Party) -> list[Spot]:
    found = place_replicas([party], sites)
    assert not found.missing
    return [found.spots[party.model, seat.target, seat.slot].spot for seat in party.seats]


def test_replicas_are_spread_over_hosts_and_packed_where_asked() -> None:
    sites = sites_of([[80, 80], [80, 80], [80, 80]], 100)
    seats = tuple(Seat("rack", slot, ONE) for slot in range(3))
    assert [spot.place for spot in places(sites, Party("m", (), seats))] == ["h0", "h1", "h2"]
    assert [spot.place for spot in places(sites, Party("m", (), seats, spread="none"))] == ["h0", "h0", "h1"]


def test_no_two_share_a_host_where_that_is_asked() -> None:
    sites = sites_of([[80, 80]], 100)
    seats = tuple(Seat("rack", slot, ONE) for slot in range(2))
    assert place_replicas([Party("m", (), seats, spread="host")], sites).missing


def test_shares_are_packed_so_that_whole_devices_stay_free() -> None:
    sites = rack(80, 80)
    seats = tuple(Seat("rack", slot, Asked(0, 1, 30)) for slot in range(2))
    assert {spot.devices for spot in places(sites, Party("m", (), seats))} == {(Share("h0g0", 30),)}


def test_devices_of_one_replica_are_neighbours() -> None:
    sites = sites_of([[80] * 8], 100)
    busy = Pool("rack", "h0", "h0g1")
    sites = Sites(sites.places, Room({**sites.room.free, busy: 0}, sites.room.whole))
    (spot,) = places(sites, Party("m", (), (Seat("rack", 0, Asked(0, 4)),)))
    assert [share.device for share in spot.devices] == ["h0g2", "h0g3", "h0g4", "h0g5"]


def test_only_devices_of_the_product_that_is_asked_for_will_do() -> None:
    names = ("NVIDIA L40S", "NVIDIA L40", "NVIDIA A100-SXM4-80GB")
    devices = tuple(Device(index, f"g{index}", name, 80, 80) for index, name in enumerate(names))
    place = Place("h0", 8, 100, 100, devices)
    whole = {Pool("rack", "h0", device.uuid): 80 for device in devices}
    sites = Sites({"rack": (place,)}, Room({Pool("rack", "h0"): 100, **whole}, whole))
    for name, uuid in (("L40", "g1"), ("l40s", "g0"), ("A100", "g2")):
        seat = Seat("rack", 0, Asked(0, 1, product=name))
        assert [spot.devices for spot in places(sites, Party("m", (), (seat,)))] == [(Share(uuid),)]
    (missing,) = place_replicas([Party("m", (), (Seat("rack", 0, Asked(0, 1, product="H100")),))], sites).missing
    assert "h0: it has no H100" in no_room(missing).detail


def test_a_slice_is_had_only_for_its_memory() -> None:
    part = Device(0, "MIG-1", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", 10, 10, parent="g0")
    pool = Pool("rack", "h0", "MIG-1")
    sites = Sites({"rack": (Place("h0", 8, 100, 100, (part,)),)}, Room({Pool("rack", "h0"): 100, pool: 10}, {pool: 10}))
    assert places(sites, Party("m", (), (Seat("rack", 0, Asked(0, 1, 8)),))) == [Spot("h0", (Share("MIG-1", 8),))]
    for asked in (ONE, Asked(0, 1, 0, 0.5), Asked(0, 2, 4)):
        assert place_replicas([Party("m", (), (Seat("rack", 0, asked),))], sites).missing
