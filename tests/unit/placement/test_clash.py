"""Why not all can be placed: the fewest demands that clash, in the words of the file, and ways out that are enough."""

from __future__ import annotations

from dataclasses import replace

from infctl.placement.clash import Clash, find_clash
from infctl.placement.fit import Asked
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.shortage import no_room
from infctl.placement.spots import place_replicas
from tests.unit.placement.racks import device, host, rack

ONE = Asked(10, 1)


def party(model: str, count: int, asked: Asked = ONE, spread: str = "") -> Party:
    return Party(model, (), tuple(Seat("rack", slot, asked) for slot in range(count)), spread=spread)


def clash_of(sites: Sites, *parties: Party) -> Clash:
    found = place_replicas(parties, sites)
    assert found.missing
    return find_clash(parties, found.missing, sites)


def test_a_rule_that_is_in_the_way_is_named_and_to_lift_it_comes_first() -> None:
    found = clash_of(rack(host("a", 4), host("b", 4)), party("chat", 3, spread="host"), party("embed", 2))
    assert found.demands == (
        "models.chat: 3 replicas of 1 GPU whole and 0.00 GiB of memory with placement.spread: host",
    )
    assert found.ways[0] == "take models.chat.placement.spread: host out"
    assert found.ways[1] == "1 more host like a in rack"


def test_who_is_not_in_the_way_is_not_named() -> None:
    sites = rack(host("a", 2), host("b", 1, product="NVIDIA A10"))
    small = Asked(10, 1, product="A10")
    found = clash_of(sites, party("chat", 2), party("rerank", 1, small), party("embed", 1, Asked(10)), party("tts", 1))
    assert [demand.partition(":")[0] for demand in found.demands] == ["models.chat", "models.rerank", "models.tts"]
    assert "1 more NVIDIA L40S in a" in found.ways or "1 more NVIDIA A10 in b" in found.ways


def test_a_product_that_is_in_the_way_is_named() -> None:
    found = clash_of(
        rack(host("a", 2), host("b", 1, product="NVIDIA A10")), party("chat", 2, Asked(0, 1, product="A10"))
    )
    assert found.demands == ("models.chat: 2 replicas of 1 A10 whole with gpu.product: A10",)
    assert found.ways == (
        "take models.chat.gpu.product: A10 out",
        "1 more NVIDIA A10 in b",
        "ask for 1 replica of chat fewer",
    )


def test_no_more_replicas_are_named_than_clash() -> None:
    found = clash_of(rack(host("a", 2)), party("chat", 5))
    assert found.demands == ("models.chat: 3 replicas of 1 GPU whole and 0.00 GiB of memory",)
    assert found.ways == ("3 more NVIDIA L40S in a", "ask for 3 replicas of chat fewer")


def test_of_replicas_without_devices_memory_is_what_is_missing() -> None:
    found = clash_of(rack(host("a"), host("b")), party("chat", 4, Asked(60)))
    assert found.ways == ("0.0 GiB more memory on a", "ask for 2 replicas of chat fewer")


def test_zones_are_told_apart_from_hosts() -> None:
    found = clash_of(rack(host("a", 2, zone="z1"), host("b", 2, zone="z1")), party("chat", 2, spread="zone"))
    assert found.ways == (
        "take models.chat.placement.spread: zone out",
        "1 more host like a in rack, each in a zone of its own",
        "ask for 1 replica of chat fewer",
    )


def test_the_error_says_what_clashes_and_the_ways_out() -> None:
    parties = [party("chat", 3, spread="host")]
    sites = rack(host("a", 4), host("b", 4))
    (missing,) = place_replicas(parties, sites).missing
    told = no_room(missing, find_clash(parties, [missing], sites))
    assert "with placement.spread: host" in told.detail
    assert told.hint.startswith("take models.chat.placement.spread: host out; or 1 more host like a in rack")


def test_islands_are_told_where_they_are_in_the_way() -> None:
    joined = tuple(device(f"g{n}", n, island="aaabbb"[n]) for n in range(6))
    used = tuple(replace(each, memory_free=0, taken=True) if each.index in {0, 3} else each for each in joined)
    assert not place_replicas([party("chat", 2, Asked(0, 3))], rack(replace(host("a"), devices=joined))).missing
    (missing,) = place_replicas([party("chat", 1, Asked(0, 3))], rack(replace(host("a"), devices=used))).missing
    assert "a: 2 of its 6 GPUs free in one island of fast links" in no_room(missing).detail
