"""Replicas of several devices stay on one island of fast links, unless no island of a host is that large."""

from __future__ import annotations

import pytest

from infctl.placement.fit import Asked
from infctl.placement.objective import CROSSED
from infctl.placement.parties import Party, Seat
from infctl.placement.spots import Found, place_replicas
from infctl.provider.values import Place
from tests.unit.placement.racks import device, rack


def host_of(name: str, islands: str) -> Place:
    """Return a host with a device for each letter, alike letters joined; a dot is one that no link joins."""
    named = enumerate(islands)
    devices = tuple(device(f"{name}{n}", n, island=letter.replace(".", "")) for n, letter in named)
    return Place(name, 8, 1000, 1000, devices)


def placed(asked: Asked, count: int, *hosts: Place) -> Found:
    party = Party("chat", coming=tuple(Seat("rack", slot, asked) for slot in range(count)))
    return place_replicas([party], rack(*hosts))


def devices(found: Found) -> list[str]:
    return sorted(" ".join(share.device for share in option.spot.devices) for option in found.spots.values())


@pytest.mark.parametrize(
    ("islands", "asked", "count", "expected"),
    [
        ("aabb", 2, 2, ["h0 h1", "h2 h3"]),
        ("abab", 2, 2, ["h0 h2", "h1 h3"]),
        ("aa..", 2, 2, ["h0 h1", "h2 h3"]),  # what no link joins is as near as all else there
        ("aabb", 4, 1, ["h0 h1 h2 h3"]),
        ("aaaabbbb", 4, 2, ["h0 h1 h2 h3", "h4 h5 h6 h7"]),
        ("aabbcc", 3, 2, ["h0 h1 h2", "h3 h4 h5"]),
        ("aaab", 2, 1, ["h0 h1"]),
    ],
)
def test_devices_are_joined_where_they_can_be(islands: str, asked: int, count: int, expected: list[str]) -> None:
    assert devices(placed(Asked(10, asked), count, host_of("h", islands))) == expected


def test_nobody_crosses_where_an_island_is_large_enough() -> None:
    found = placed(Asked(10, 3), 2, host_of("h", "aaab" + "b"))
    assert [(missing.count, missing.party.model) for missing in found.missing] == [(1, "chat")]


def test_a_host_whose_links_join_all_is_better_than_one_where_they_do_not() -> None:
    split, whole = host_of("a", "aabb"), host_of("b", "aaaa")
    assert devices(placed(Asked(10, 4), 1, split, whole)) == ["b0 b1 b2 b3"]
    both = placed(Asked(10, 4), 2, split, whole)
    assert devices(both) == ["a0 a1 a2 a3", "b0 b1 b2 b3"]
    assert both.cost == both.least > CROSSED
