"""Owns what the replicas that are still to be seated cost together at the very least, whoever takes what. Pure.

Each group of equal replicas is seated alone, as if no other group were there: that cannot cost more than what is
possible, for what others take makes nothing cheaper but in ways that are counted here (see `shape.least_hole`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from infctl.placement.board import Board
from infctl.placement.fit import Asked
from infctl.placement.lots import Lot, least_paid
from infctl.placement.objective import APART, FETCH, MOVE, PAIR, STEP
from infctl.placement.parties import Party, Seat

_FREE = (0, 0)


class Group(NamedTuple):
    """Replicas of which any may have the other's spot. `party` stands for all that they belong to."""

    party: Party
    seats: tuple[tuple[Party, Seat], ...]

    @property
    def seat(self) -> Seat:
        return self.seats[0][1]


class Level(NamedTuple):
    """What one more replica costs at each of `lots` alike places, of which each can take `room` more."""

    cost: int
    order: int  # so that equal costs never compare further
    lots: int
    room: int
    more: int  # what the second one costs beyond the first
    lot: int = 0  # the number of one of them
    devices: int = 0  # grains that each takes
    memory: int = 0


def bound(board: Board, remaining: Iterable[tuple[Group, int]]) -> int | None:
    """Return the least cost of seating so many of each group; None where it is sure that they do not fit."""
    remaining = tuple((group, count) for group, count in remaining if count)
    coming = {group.party.model for group, _ in remaining}
    total = -sum(_tolls_of(board, lot) for lot in board.lots if lot.toll != _FREE)
    for group, count in remaining:
        found = seat_alone(board, group, count, coming)
        if found is None:
            return None
        total += found[0]
    return total


def _tolls_of(board: Board, lot: Lot) -> int:
    """Return what all that can still be taken of a place would pay."""
    devices, memory = board.size_of(lot)
    return lot.toll[0] * devices + lot.toll[1] * memory


def is_too_much(board: Board, groups: Iterable[Group]) -> bool:
    """Return whether what all ask together is more than a target has, in bytes or in devices."""
    needs: dict[str, list[int]] = {}
    for group in groups:
        if not group.seat.elsewhere:
            need = needs.setdefault(group.seat.target, [0, 0, 0])
            asked, count = group.seat.asked, len(group.seats)
            need[0] += count * asked.memory
            need[1] += count * asked.devices * asked.share
            need[2] += count * asked.devices * asked.is_whole
    for target, (memory, bytes_of_devices, whole) in needs.items():
        lots = [lot for lot in board.lots if lot.target == target]
        untouched = [size for lot in lots for size in _untouched(lot)]
        of_devices = sum(max(0, size) for lot in lots for size in lot.final[1:])
        spared = sum(sorted(untouched)[:whole])
        if memory > sum(max(0, lot.final[0]) for lot in lots) or whole > len(untouched):
            return True
        if bytes_of_devices > of_devices - spared:
            return True
    return False


def _untouched(lot: Lot) -> Iterator[int]:
    return (s.whole for s, left in zip(lot.shape.slots, lot.final[1:], strict=True) if 0 <= s.whole <= left)


def seat_alone(board: Board, group: Group, count: int, coming: set[str]) -> tuple[int, list[tuple[Level, int]]] | None:
    """Return the least that `count` replicas of a group cost where no other group is, and where they go then: to the
    cheapest places first.
    """
    levels = [level for level in _levels(board, group, coming) if level.room > 0]
    heapify(levels)
    total = 0
    step = 0 if group.party.spread else PAIR
    number = len(levels) + 1
    seated: list[tuple[Level, int]] = []
    while count and levels:
        level = heappop(levels)
        each = step + level.more
        at_once = level.lots if each else level.lots * level.room
        taken = min(count, at_once)
        seated.append((level, taken))
        total += level.cost * taken
        count -= taken
        if each and level.room > 1:
            heappush(levels, level._replace(cost=level.cost + each, order=number, room=level.room - 1, more=0))
            number += 1
    return None if count else (total, seated)


def _levels(board: Board, group: Group, coming: set[str]) -> Iterator[Level]:
    party, seat = group.party, group.seat
    order = 0
    of_zone: dict[str, Level] = {}
    for step, (target, asked) in enumerate(seat.choices):
        for members in board.alike.get(target, {}).values():
            for lot, count in _told_apart(board, party, seat, members):
                order += 1
                level = _level(board, group, lot, (step, asked), coming)._replace(order=order, lots=count)
                if not level.room:
                    continue
                if party.spread == "zone":
                    zone = lot.place.zone
                    of_zone[zone] = min(of_zone.get(zone, level), level)._replace(lots=1, room=1)
                else:
                    yield level
    yield from of_zone.values()


def _told_apart(board: Board, party: Party, seat: Seat, members: set[int]) -> Iterator[tuple[Lot, int]]:
    """Yield one lot for all that are alike for this seat, with how many these are."""
    alone = members & board.alone(party, seat)
    yield from ((board.lots[number], 1) for number in sorted(alone))
    if len(members) > len(alone):
        yield board.lots[min(members - alone)], len(members) - len(alone)


def _level(board: Board, group: Group, lot: Lot, choice: tuple[int, Asked], coming: set[str]) -> Level:
    party, seat, (step, asked) = group.party, group.seat, choice
    if board.is_barred(party, lot):
        return Level(0, 0, 0, 0, 0)
    sure = board.bound_at(party.model, lot, asked)
    cost = STEP * step + lot.paid + least_paid(lot, asked) + sure.hole
    cost += lot.toll[0] * sure.devices + lot.toll[1] * sure.memory
    if not party.spread:
        cost += PAIR * lot.guests.get(party.model, 0)
    cost += APART * sum(1 for mate in party.mates if mate not in coming and not lot.guests.get(mate))
    saved = 0
    if not lot.guests.get(party.model):
        saved = APART * sum(lot.guests.get(other, 0) for other in board.liked_by.get(party.model, ()))
    if seat.was is not None and not (lot.target == seat.target and lot.place.name == seat.was.place):
        cost += MOVE * max(1, len(seat.was.devices)) if seat.runs else FETCH
    is_single = party.spread == "host" or (lot.place.most != 1 and lot.target in board.single)
    room = min(sure.room, 1) if is_single else sure.room
    return Level(cost - saved, 0, 0, room, saved, lot.number, sure.devices, sure.memory)
