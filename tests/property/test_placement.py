"""Where replicas live: the counts are right, what runs stays, and every answer is its own next answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infctl.placement.place import Placed, place

TARGETS = ("a", "b", "c", "d")
ORDERS = st.lists(st.sampled_from(TARGETS), min_size=1, unique=True).map(tuple)
NOW = st.dictionaries(st.sampled_from(TARGETS), st.sets(st.integers(0, 9), max_size=6), max_size=4)


def as_now(placed: tuple[Placed, ...]) -> dict[str, tuple[int, ...]]:
    return {each.target: each.slots for each in placed}


@given(ORDERS, st.integers(0, 12), NOW)
def test_the_counts_are_right(order: tuple[str, ...], replicas: int, now: dict[str, set[int]]) -> None:
    placed = place(order, replicas, now)
    assert sum(len(each.slots) for each in placed) == replicas
    assert all(each.slots == tuple(sorted(set(each.slots))) for each in placed)
    assert [each.target for each in placed] == [name for name in order if name in as_now(placed)]


@given(ORDERS, st.integers(0, 12), NOW)
def test_what_runs_stays_while_it_can(order: tuple[str, ...], replicas: int, now: dict[str, set[int]]) -> None:
    after = as_now(place(order, replicas, now))
    running = {(target, slot) for target in order for slot in now.get(target, ())}
    kept = running & {(target, slot) for target, slots in after.items() for slot in slots}
    assert len(kept) == min(replicas, len(running))


@given(ORDERS, st.integers(0, 12), NOW)
def test_a_placement_places_itself_again(order: tuple[str, ...], replicas: int, now: dict[str, set[int]]) -> None:
    placed = place(order, replicas, now)
    assert place(order, replicas, as_now(placed)) == placed


@given(ORDERS, st.integers(0, 8), st.integers(0, 8), NOW)
def test_growing_and_shrinking_touch_no_more_than_the_difference(
    order: tuple[str, ...], before: int, after: int, now: dict[str, set[int]]
) -> None:
    first = place(order, before, now)
    second = place(order, after, as_now(first))
    was = {(each.target, slot) for each in first for slot in each.slots}
    becomes = {(each.target, slot) for each in second for slot in each.slots}
    assert len(was ^ becomes) == abs(before - after)


def test_from_nothing_all_go_to_the_first_target_from_slot_0() -> None:
    assert place(("a", "b"), 3, {}) == (Placed("a", (0, 1, 2)),)


def test_a_gap_is_filled_before_numbers_grow() -> None:
    assert place(("a",), 4, {"a": (0, 2, 5)}) == (Placed("a", (0, 1, 2, 5)),)


def test_a_target_that_left_the_order_is_left() -> None:
    assert place(("a",), 2, {"b": (0, 1)}) == (Placed("a", (0, 1)),)


def test_none_wanted_still_names_the_place() -> None:
    assert place(("a", "b"), 0, {"b": (0,)}) == (Placed("a", ()),)


@pytest.mark.parametrize(("order", "replicas"), [((), 1), (("a",), -1)])
def test_nonsense_is_refused(order: tuple[str, ...], replicas: int) -> None:
    with pytest.raises(ValueError, match="cannot place"):
        place(order, replicas, {})


def test_what_is_missing_comes_to_each_target_up_to_its_share() -> None:
    order, shares = ("rack", "lab"), {"rack": 3, "lab": 2}
    assert place(order, 5, {}, shares) == (Placed("rack", (0, 1, 2)), Placed("lab", (0, 1)))
    assert place(order, 5, {"rack": [0, 4]}, shares) == (Placed("rack", (0, 1, 4)), Placed("lab", (0, 1)))
    assert place(order, 5, {"rack": [0, 1], "lab": [0, 1, 2]}, shares) == (
        Placed("rack", (0, 1)), Placed("lab", (0, 1, 2)),
    )  # fmt: skip
    assert place(order, 6, {}, shares) == (Placed("rack", (0, 1, 2, 3)), Placed("lab", (0, 1)))
