"""Owns tolls: what places that many ask for charge while each group is looked at alone, and the bound proved so. Pure.

Lagrangian relaxation of the room of each place, by subgradients (M. L. Fisher, "The Lagrangian Relaxation Method for
Solving Integer Programming Problems", Management Science 27, 1981): whatever the tolls are, all groups seated alone
cost, less the tolls of all that can be taken, no more than the cheapest placement does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from infctl.placement.board import Board
from infctl.placement.bound import Group, seat_alone

STEPS = 100  # of the subgradients
PATIENCE = 6  # of these without a better bound, after which they become half as long
Toll = tuple[int, int]  # for a grain of devices, and of memory


class _Kind(NamedTuple):
    """Lots that are alike, and the grains of devices and of memory that each of them has."""

    lots: tuple[int, ...]
    size: tuple[int, int]


def set_tolls(board: Board, groups: Sequence[Group], cost: int, least: int) -> int:
    """Have lots of `board` charge the tolls that prove most, and return the bound that they prove.

    `cost` is that of a placement that is known: steps are as long as the distance to it says. `least` is the bound
    without tolls.
    """
    members = [tuple(sorted(lots)) for alike in board.alike.values() for lots in alike.values()]
    kinds = [_Kind(lots, board.size_of(board.lots[lots[0]])) for lots in members]
    tolls: list[Toll] = [(0, 0)] * len(kinds)
    best, best_tolls, stride, stale = least, tolls, 1.0, 0
    for _ in range(STEPS):
        value, over = _relaxed(board, groups, kinds, tolls)
        stale = 0 if value > best else stale + 1
        if value > best:
            best, best_tolls = value, tolls
        if stale == PATIENCE:
            stride, stale = stride / 2, 0
        way = [_led(*each) for each in zip(over, tolls, strict=True)]
        square = sum(a * a + b * b for a, b in way)
        if best >= cost or not square:
            break
        length = stride * (cost - value) / square
        tolls = [_moved(toll, by, length) for toll, by in zip(tolls, way, strict=True)]
    _charge(board, kinds, best_tolls)
    return min(best, cost)


def _led(over: Toll, toll: Toll) -> Toll:
    """Return which way a toll goes: what is free stays so while there is enough of it."""
    a, b = (most if most > 0 or now else 0 for most, now in zip(over, toll, strict=True))
    return a, b


def _moved(toll: Toll, by: Toll, length: float) -> Toll:
    return max(0, round(toll[0] + length * by[0])), max(0, round(toll[1] + length * by[1]))


def _charge(board: Board, kinds: Sequence[_Kind], tolls: Sequence[Toll]) -> None:
    board.charge({number: toll for kind, toll in zip(kinds, tolls, strict=True) for number in kind.lots})


def _relaxed(
    board: Board, groups: Sequence[Group], kinds: Sequence[_Kind], tolls: Sequence[Toll]
) -> tuple[int, list[tuple[int, int]]]:
    """Return the bound that tolls prove, and by how much all groups together take more of each kind than it has."""
    _charge(board, kinds, tolls)
    kind_of = {number: index for index, kind in enumerate(kinds) for number in kind.lots}
    coming = {group.party.model for group in groups}
    over = [[-len(kind.lots) * kind.size[0], -len(kind.lots) * kind.size[1]] for kind in kinds]
    value = sum(a * toll[0] + b * toll[1] for (a, b), toll in zip(over, tolls, strict=True))
    for group in groups:
        found = seat_alone(board, group, len(group.seats), coming)
        if found is None:
            raise ValueError("a group that has room has none for a toll")
        value += found[0]
        for level, count in found[1]:
            mine = over[kind_of[level.lot]]
            mine[0] += count * level.devices
            mine[1] += count * level.memory
    return value, [(a, b) for a, b in over]
