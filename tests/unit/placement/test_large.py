"""Of what is too much to be tried in full: everybody has a place, how far from the best is proved, and it is told."""

from __future__ import annotations

from dataclasses import replace

from infctl.placement.fit import Asked
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.room import Pool
from infctl.placement.spots import Found, place_replicas
from tests.unit.placement.racks import host, rack

ASKED = (Asked(5, 1), Asked(5, 2), Asked(5, 1, 40), Asked(2, 1, 0, 0.25), Asked(20))


def question() -> tuple[list[Party], Sites]:
    prices = (0.4, 0.85, 2.4)
    hosts = [replace(host(f"h{n}", (2, 4, 8)[n % 3]), price=prices[n % 3]) for n in range(60)]
    parties = [
        Party(f"m{n}", (), tuple(Seat("rack", slot, ASKED[n % 5]) for slot in range(1 + n * 7 % 9))) for n in range(40)
    ]
    return parties, rack(*hosts)


def placed(tell: list[tuple[str, int, int]]) -> Found:
    parties, sites = question()
    return place_replicas(parties, sites, lambda *words: tell.append(words))


def test_all_have_a_place_nothing_is_promised_twice_and_the_gap_is_proved() -> None:
    found = placed([])
    assert not found.missing
    assert 0 < found.least <= found.cost
    assert found.gap < 0.05
    _, sites = question()
    taken: dict[Pool, int] = {}
    for option in found.spots.values():
        for pool, size in option.held.items():
            taken[pool] = taken.get(pool, 0) + size
    assert all(size <= sites.room.free[pool] for pool, size in taken.items())


def test_it_is_told_how_far_it_is() -> None:
    told: list[tuple[str, int, int]] = []
    placed(told)
    assert {what for what, _, _ in told} == {"placing", "bettering"}
    assert all(0 < done < total == len(placed([]).spots) for _, done, total in told[:1])


def test_the_same_question_has_the_same_answer() -> None:
    first, again = placed([]), placed([])
    assert first == again
