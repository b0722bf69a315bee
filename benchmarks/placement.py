"""Time placement of many replicas, and how good it is: beside the bound that is proved and first fit decreasing.

Prints, for each size, the seconds of processor time, the objective in dollars an hour (docs/decisions/0018, where HiGHS
stands beside it), the gap to what is proved to be the least, and the ratios to plain first fit decreasing.
Usage: python -m benchmarks.placement
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence

from infctl.placement.board import Board
from infctl.placement.fit import Asked
from infctl.placement.objective import DOLLAR
from infctl.placement.parties import Party, Seat, Sites
from infctl.placement.room import Pool, Room
from infctl.placement.spots import place_replicas
from infctl.provider.values import Device, Place

GIB = 1024**3
SIZES = ((40, 20), (200, 100), (2_000, 1_000))
KINDS = (("NVIDIA H100 80GB HBM3", 80, 8, 2.40), ("NVIDIA L40S", 48, 4, 0.85), ("NVIDIA A10", 24, 2, 0.40))
ASKED = (
    Asked(8 * GIB, 1), Asked(16 * GIB, 2), Asked(32 * GIB, 4), Asked(4 * GIB, 1, 10 * GIB), Asked(8 * GIB, 1, 20 * GIB),
    Asked(4 * GIB, 1, 0, 0.25), Asked(6 * GIB),
)  # fmt: skip


def question(replicas: int, hosts: int, seed: int = 1) -> tuple[list[Party], Sites]:
    """Return models of 1 to 20 replicas, and hosts of three kinds, half of them in use already."""
    chance = random.Random(seed)  # noqa: S311  -- a question that is the same every time
    places, free, whole = [], {}, {}
    for number in range(hosts):
        product, size, count, price = KINDS[number % len(KINDS)]
        name = f"h{number}"
        memory = chance.choice((64, 256)) * GIB
        devices = []
        for index in range(count):
            used = chance.choice((0, 0, 0, size // 2)) * GIB
            devices.append(Device(index, f"{name}g{index}", product, size * GIB, size * GIB - used, used > 0))
            pool = Pool("rack", name, devices[-1].uuid)
            free[pool] = devices[-1].memory_free
            if not used:
                whole[pool] = free[pool]
        free[Pool("rack", name)] = memory
        places.append(Place(name, 64, 256 * GIB, memory, tuple(devices), price, zone=f"z{number % 3}"))
    parties: list[Party] = []
    left = replicas
    while left:
        count = min(left, chance.randint(1, 20))
        seats = tuple(Seat("rack", slot, asked) for asked in (chance.choice(ASKED),) for slot in range(count))
        parties.append(Party(f"m{len(parties)}", (), seats, spread=chance.choice(("", "", "host", "none"))))
        left -= count
    return parties, Sites({"rack": tuple(places)}, Room(free, whole))


def first_fit(parties: Sequence[Party], sites: Sites) -> tuple[int, int]:
    """Return what first fit decreasing costs, and how many it does not place: the baseline.

    The largest first, each on the first host that has room, with the first devices there that do.
    """
    board = Board(parties, sites, sites.room.free)
    cost = unplaced = 0
    seats = [(party, seat) for party in parties for seat in party.seats]
    for party, seat in sorted(seats, key=lambda each: each[1].asked.size, reverse=True):
        for lot in board.lots:
            found = min(board.candidates_at(party, seat, lot), key=lambda each: each.fit.positions, default=None)
            if found is not None:
                cost += found.cost
                board.take(party.model, found)
                break
        else:
            unplaced += 1
    return cost, unplaced


def main() -> None:
    for replicas, hosts in SIZES:
        parties, sites = question(replicas, hosts)
        begun = time.process_time()
        cost, unplaced = first_fit(parties, sites)
        plain = time.process_time() - begun
        begun = time.process_time()
        found = place_replicas(parties, sites, _tell)
        seconds = time.process_time() - begun
        print(f"{replicas} replicas on {hosts} hosts, {len(parties)} models")
        print(f"  first fit decreasing  {plain:7.2f} s  ${cost / DOLLAR:12.4f}/h  {unplaced} not placed")
        missing = sum(each.count for each in found.missing)
        gap = (found.cost - found.least) / found.cost if found.cost else 0.0
        print(
            f"  infctl                {seconds:7.2f} s  ${found.cost / DOLLAR:12.4f}/h  {missing} not placed  "
            f"at least ${found.least / DOLLAR:.4f}/h is proved: gap {gap:.2%}"
        )
        print(f"  ratio to first fit: {found.cost / cost:.3f} of its cost, {seconds / plain:.2f} of its time")


def _tell(what: str, done: int, of: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{what} {done} of {of}   ", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
