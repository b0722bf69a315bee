"""A fleet over several targets: who takes which part of the load, and when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

import pytest

from infctl.catalog.gpus import gpus
from infctl.sizing.decision import (
    Ask,
    Batching,
    Choice,
    Clash,
    Cost,
    Decision,
    Fleet,
    Lengths,
    Offer,
    Workload,
)
from infctl.sizing.mixed import mixed
from infctl.sizing.precision import PRECISIONS

LOAD = Workload(Lengths(900), Lengths(200), rate=10, peak=20)
TAKES = {"H100-SXM-80GB": 4.0, "L40S": 2.0, "L4": 1.0}  # requests a second of one replica


def offer(target: str, product: str, hosts: int | None, devices: int = 1) -> Offer:
    return Offer(target, gpus().find(product)[:1], devices, hosts, price=1.0)


def chosen(ask: Ask, load: Workload, offers: Sequence[Offer]) -> Choice:
    """Return what a simple chooser takes: the first offer, as many replicas as the peak asks for."""
    best = offers[0]
    gpu = best.gpus[0]
    if ask.product and ask.product != gpu.name:
        return Choice(None, (), Clash((), ()))
    count = max(ask.replicas[0], ceil(load.peak / TAKES[gpu.name]))
    made = Decision(
        best.target, {"auto": "vllm"}.get(ask.engine, ask.engine), "1", PRECISIONS["bf16"], "auto", 1, 1, gpu, 1, 8192,
        Batching(1, 8192), None, Fleet(count, count, 0, count), capacity=TAKES[gpu.name], cost=Cost(float(count)),
    )  # fmt: skip
    most = ask.replicas[1]
    fits = (best.hosts is None or count <= best.hosts * best.devices) and (most is None or count <= most)
    return Choice(made, (), None if fits else Clash((), ()))


def parts(ask: Ask, *offers: Offer) -> list[tuple[str, str, int]]:
    found = mixed(chosen, ask, LOAD, offers)
    assert all(each.cost and each.cost.per_hour == each.fleet.total for each in found)
    return [(each.target, each.product, each.fleet.total) for each in found]


def test_each_target_takes_what_it_has_room_for_and_the_next_the_rest() -> None:
    ask = Ask(order=("rack", "lab", "cloud"))
    rack, lab, cloud = offer("rack", "H100", 1, 3), offer("lab", "L40S", 2), offer("cloud", "L4", None)
    # of 20/s the rack takes 12 with three of five, the lab 4 of the 8 that are left, the cloud the last 4
    assert parts(ask, rack, lab, cloud) == [("rack", "H100-SXM-80GB", 3), ("lab", "L40S", 2), ("cloud", "L4", 4)]
    assert parts(ask, lab, rack, cloud) == parts(ask, rack, lab, cloud)  # the file's order counts


def test_a_target_that_has_nothing_of_use_is_passed_over() -> None:
    ask = Ask(order=("rack", "lab", "cloud"))
    assert parts(ask, offer("rack", "H100", 4), offer("lab", "L40S", 0), offer("cloud", "L4", 9)) == [
        ("rack", "H100-SXM-80GB", 4), ("cloud", "L4", 4),
    ]  # fmt: skip


@pytest.mark.parametrize("most", [5, None])
def test_there_is_none_where_all_have_too_little_or_more_would_run_than_may(most: int | None) -> None:
    ask = Ask(order=("rack", "lab"), replicas=(1, most))
    small = 1 if most is None else 9
    assert parts(ask, offer("rack", "H100", 2), offer("lab", "L4", small)) == []


def test_further_parts_run_the_engine_of_the_first_and_the_least_is_kept() -> None:
    ask = Ask(order=("rack", "lab"), replicas=(12, None))
    found = mixed(chosen, replace(ask, engine="sglang"), LOAD, (offer("rack", "H100", 3), offer("lab", "L40S", 20)))
    assert {each.engine for each in found} == {"sglang"}
    assert sum(each.fleet.total for each in found) >= 12
