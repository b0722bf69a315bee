"""Owns what a placement is worth: one whole number of nano-dollars an hour, less is better. Pure.

What counts most comes first, and each weight is larger than what all below it can make up for one replica, but for
the three that are money: prices, moves and fetches are weighed against each other. Reasons: docs/decisions/0018.
"""

from __future__ import annotations

from math import ceil

DOLLAR = 10**9  # of the objective's units; whole numbers, so that equal is equal on every machine
STEP = 1_000 * DOLLAR  # a replica one target further down in placement.order; no instance costs that an hour
PAID = {"owned": 0, "reserved": 0, "on_demand": 100 * DOLLAR, "spot": 200 * DOLLAR}  # a replica, by how it is paid for
MOVE = DOLLAR // 2  # each device of a running replica that moves: it holds old and new for half an hour (at $1)
FETCH = DOLLAR // 20  # a replica that is replaced, and not on the devices that it had: model and image come anew
MIXED = DOLLAR // 20  # each product beyond the first of one replica: all wait for the slowest
CROSSED = DOLLAR // 20  # each island of fast links beyond the first of one replica: they talk over the bus
APART = DOLLAR // 50  # a replica without one of a model beside it that it is to be colocated with
PAIR = DOLLAR // 100  # two replicas of one model on one place: they fall together
GRAINS = 16  # parts of the largest device, or memory: what is free goes up and down a little, the choice should not


def rate(price: float | None) -> int:
    """Return dollars an hour in the objective's units; what has no price counts as nothing."""
    return round((price or 0.0) * DOLLAR)


def hole(whole: int, parts: int, memory: int) -> int:
    """Return what the room that is left on an island of a place is worth, in units: the square, for what is in one
    piece can be had by more. `whole` are the grains of its untouched devices together, `parts` the sum of squares of
    what is left of each device that is begun, `memory` the grains of memory left there.
    """
    return whole * whole + parts + memory * memory


def grain(sizes: tuple[int, ...]) -> int:
    """Return the bytes of one grain, where the largest of devices or memories has GRAINS of them."""
    return max(1, ceil(max(sizes, default=0) / GRAINS))
