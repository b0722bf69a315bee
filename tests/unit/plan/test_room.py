"""The arithmetic of room: every way of replacing replicas, and the best that fits."""

from __future__ import annotations

import pytest

from infctl.placement.room import Load, Pool, Rollout, Way, best, least, peak, waves
from infctl.plan.model import Action
from tests.unit.plan.test_planner import applied, does
from tests.unit.plan.toys import Toy, wish

HERE = Pool("here")


def load(need: int, replaced: tuple[int, ...] = (), coming: int = 0, leaving: int = 0) -> Load:
    """Return what moves on one target with one pool, in bytes."""
    new = {HERE: need}
    return Load(tuple(({HERE: old}, new) for old in replaced), (new,) * coming, ({HERE: leaving},))


THREE = load(10, (10, 10, 10))
GROWING = load(20, (10, 10, 10))


@pytest.mark.parametrize(
    ("way", "sizes"),
    [
        (Way(Rollout.SURGE, 5), [5]),
        (Way(Rollout.ROLLING, 2), [1, 2, 2]),
        (Way(Rollout.SWAP, 1), [1, 1, 1, 1, 1]),
        (Way(Rollout.SWAP, 5), [5]),
    ],
)
def test_waves(way: Way, sizes: list[int]) -> None:
    assert [len(range(5)[wave]) for wave in waves(way, 5)] == sizes


@pytest.mark.parametrize(
    ("change", "way", "most"),
    [
        (THREE, Way(Rollout.SURGE, 3), 30),
        (THREE, Way(Rollout.ROLLING, 2), 20),
        (THREE, Way(Rollout.ROLLING, 1), 10),
        (THREE, Way(Rollout.SWAP, 1), 0),
        (GROWING, Way(Rollout.ROLLING, 1), 40),  # two are 10 more each, and the third stands beside its predecessor
        (GROWING, Way(Rollout.SWAP, 1), 30),
        (load(10, (), 2), Way(Rollout.FIRST), 20),
        (load(10, (10,), 1), Way(Rollout.ROLLING, 1), 10),  # the new slot takes what the old replica gave back
        (load(10, (10,), 1, leaving=10), Way(Rollout.SWAP, 1), 0),
    ],
)
def test_peaks(change: Load, way: Way, most: int) -> None:
    assert peak(change, way)[HERE] == most


@pytest.mark.parametrize(
    ("change", "free", "way"),
    [
        (THREE, 30, Way(Rollout.SURGE, 3)),
        (THREE, 29, Way(Rollout.ROLLING, 2)),
        (THREE, 10, Way(Rollout.ROLLING, 1)),
        (THREE, 9, Way(Rollout.SWAP, 1)),
        (GROWING, 39, Way(Rollout.SWAP, 1)),
        (GROWING, 29, None),
        (load(20, (30, 10)), 0, Way(Rollout.SWAP, 1)),
        (load(20, (10, 30)), 0, Way(Rollout.SWAP, 2)),  # only all at once, for the first is the smaller one
        (load(10, (), 2), 19, None),
        (load(10, (), 2, leaving=10), 10, Way(Rollout.SWAP, 1)),
        (load(0, (0, 0)), 0, Way(Rollout.SURGE, 2)),
    ],
)
def test_the_best_way_that_fits(change: Load, free: int, way: Way | None) -> None:
    assert best(change, {HERE: free}, beside=True) == way


def test_an_object_that_keeps_its_name_is_swapped_whatever_the_room() -> None:
    assert best(THREE, {HERE: 1000}, beside=False) == Way(Rollout.SWAP, 1)


def test_the_least_is_what_no_way_can_do_without() -> None:
    assert [least(each)[HERE] for each in (THREE, GROWING, load(20, (10, 30)))] == [0, 30, 0]


def test_one_models_comfort_is_not_anothers_refusal() -> None:
    toy = applied(wish(replicas=2))
    toy.free = 20
    plan = toy.plan(wish(replicas=2, ctx=2), wish("embed"))
    assert {model.name: model.rollout for model in plan.models} == {"chat": Rollout.ROLLING, "embed": Rollout.FIRST}


def test_what_leaves_makes_room_for_what_comes() -> None:
    toy = applied(wish())
    toy.free = 0
    plan = toy.plan(wish("embed"))
    steps = does(plan)
    assert steps.index('delete toy_engine.chat["here/0"]') < steps.index('create toy_engine.embed["here/0"]')
    assert [change.action for change in plan.resource_changes].count(Action.CREATE) == 2


def test_what_a_failed_run_left_makes_room_before_the_next_try() -> None:
    toy = Toy()
    toy.carry_out(toy.plan(wish(replicas=2)))
    plan = toy.plan(wish(replicas=1, ctx=2))
    toy.free = 0
    shrunk = toy.plan(wish(replicas=1, ctx=2))
    assert plan.models[0].rollout is Rollout.SURGE
    assert shrunk.models[0].rollout is Rollout.SWAP
    steps = does(shrunk)
    assert steps.index('delete toy_engine.chat["here/1"]') < steps.index('create toy_engine.chat["here/0"]')
