"""Owns the search for the cheapest spots: branch and bound where that ends, else the best of what was found. Pure.

Effort is counted in looks, not in seconds, so that equal questions have equal answers on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from infctl.placement.board import Board
from infctl.placement.bound import Group, bound, is_too_much
from infctl.placement.fit import Option
from infctl.placement.lots import Candidate, Taken
from infctl.placement.objective import DOLLAR
from infctl.placement.parties import Key, Party, Seat
from infctl.placement.tolls import set_tolls

LOOKS = 60_000  # places that a search may look at before it takes the best that it has; about a second
LARGE = 4_000  # seats times places from which on a search takes what it finds first, and betters it
LOOKS_A_DEAD_END = 30  # a search that has found nothing yet may meet a dead end for so many looks
TRIFLE = DOLLAR // 1_000  # an hour: a gap that is not worth tolls
TOLD = 100  # replicas after which somebody is told how far it is
ROUNDS = 4  # in which every replica may better its spot
_NONE: frozenset[int] = frozenset()
_SINGLE = Party("", spread="none")  # stands for models of one replica, which have no company to mind
Tell = Callable[[str, int, int], None]  # what is done, how many of it, of how many


class Filled(NamedTuple):
    """Where everybody goes: what that costs, and what nothing can cost less than, in the objective's units."""

    given: dict[Key, Option]
    cost: int
    least: int

    @property
    def is_best(self) -> bool:
        return self.cost == self.least


class Full(NamedTuple):
    """Nobody was found a spot for; `is_sure` where there is none, rather than that it was looked for long enough."""

    is_sure: bool


def is_large(seats: int, places: int) -> bool:
    return seats * places > LARGE


def fill(
    board: Board, seats: Sequence[tuple[Party, Seat]], tell: Tell = lambda *_: None, looks: int = LOOKS
) -> Filled | Full:
    """Return an option for every seat, which `board` then has taken; or that there is none, and the board as it was.

    First everybody goes where it is cheapest, one after the other; where that may not be the best, the same with tolls
    for places that many ask for; then, where they are few enough, all is tried that may be better.
    """
    groups = _groups(board, seats)
    least = bound(board, [(group, len(group.seats)) for group in groups])
    if least is None or is_too_much(board, groups):
        return Full(is_sure=True)
    search = _Search(board, groups, looks)
    search.keep(_construct(board, search.seats, tell))
    if search.found is not None and search.cost - least > TRIFLE and looks >= LOOKS:
        least = set_tolls(board, groups, search.cost, least)
        search.keep(_construct(board, search.seats, tell))
    search.run(least)
    if search.found is None:
        return Full(is_sure=search.is_done)
    for (party, _), each in zip(search.seats, search.found, strict=True):
        board.take(party.model, each)
    given = {
        (party.model, seat.target, seat.slot): board.option(candidate)
        for (party, seat), candidate in zip(search.seats, search.found, strict=True)
    }
    return Filled(given, search.cost, search.cost if search.is_done else min(least, search.cost))


class Whole(NamedTuple):
    """A candidate for every seat, and what they cost together."""

    cost: int
    found: list[Candidate]


def _construct(board: Board, seats: Sequence[tuple[Party, Seat]], tell: Tell) -> Whole | None:
    """Return the candidates of all, each the cheapest when its turn comes, then bettered; None where one has none.

    The board is left as it was.
    """
    found: list[Candidate] = []
    taken: list[Taken] = []
    for number, (party, seat) in enumerate(seats):
        best = board.cheapest(party, seat)
        if best is None:
            break
        found.append(best)
        taken.append(board.take(party.model, best))
        if number and number % TOLD == 0:
            tell("placing", number, len(seats))
    cost = sum(each.cost for each in found)
    is_whole = len(found) == len(seats)
    board.minds_tolls = False
    if is_whole:
        cost += _better(board, seats, found, taken, tell)
    board.minds_tolls = True
    for each in reversed(taken):
        board.put_back(each)
    return Whole(cost, found) if is_whole else None


def _groups(board: Board, seats: Sequence[tuple[Party, Seat]]) -> list[Group]:
    """Return the seats by group, the hardest to place first. Who has nobody to mind, of whatever model, is as others
    that ask the same.
    """
    found: dict[object, list[tuple[Party, Seat]]] = {}
    for number, (party, seat) in enumerate(seats):
        key: object = number
        if seat.was is None:
            name = "" if _is_single(board, party) else party.model
            key = (name, seat.target, seat.asked, seat.elsewhere)
        found.setdefault(key, []).append((party, seat))
    groups = [Group(_SINGLE if _is_single(board, mine[0][0]) else mine[0][0], tuple(mine)) for mine in found.values()]
    return sorted(groups, key=lambda group: group.seat.asked.size, reverse=True)


def _is_single(board: Board, party: Party) -> bool:
    return party.model not in board.company and party.model not in board.owners


class _Try(NamedTuple):
    """A candidate, and the lots that later seats of its group are not to have: with these all was tried before."""

    candidate: Candidate
    without: frozenset[int]


class _Search:
    """Depth first, the cheapest first; a branch ends where it cannot become cheaper than the best that is found."""

    def __init__(self, board: Board, groups: Sequence[Group], looks: int) -> None:
        self.board, self.groups, self.least = board, groups, 0
        self.seats = [each for group in groups for each in group.seats]
        self.party_of = [group.party for group in groups for _ in group.seats]
        self.group_of = [number for number, group in enumerate(groups) for _ in group.seats]
        self.is_large = is_large(len(self.seats), len(board.lots))
        self.left = looks
        self.patience = looks // LOOKS_A_DEAD_END
        self.dead_ends = 0
        self.cost = 0
        self.found: list[Candidate] | None = None
        self.is_done = False

    def keep(self, whole: Whole | None) -> None:
        """Remember a way to seat all, if it is the cheapest so far."""
        if whole is not None and (self.found is None or whole.cost < self.cost):
            self.cost, self.found = whole

    def run(self, least: int) -> None:
        """Search until all is tried or patience ends; the board is left as it was. Nothing costs less than `least`."""
        self.least = least
        if not self.seats:
            self.found, self.is_done = [], True
            return
        tries = [self._tries(0, _NONE)]
        path: list[tuple[Candidate, Taken]] = []
        cost = 0
        while tries and not self._is_over():
            each = next(tries[-1], None)
            if each is None:
                tries.pop()
                if path:
                    candidate, taken = path.pop()
                    self.board.put_back(taken)
                    cost -= candidate.cost
                continue
            candidate = each.candidate
            party = self.seats[len(path)][0]
            taken = self.board.take(party.model, candidate)
            path.append((candidate, taken))
            cost += candidate.cost
            if len(path) == len(self.seats):
                self.keep(Whole(cost, [each for each, _ in path]))
            elif self._may_win(cost, len(path)):
                tries.append(self._tries(len(path), each.without))
                continue
            path.pop()
            self.board.put_back(taken)
            cost -= candidate.cost
        self.is_done = not tries or (self.found is not None and self.cost == self.least)
        for _, taken in reversed(path):
            self.board.put_back(taken)

    def _is_over(self) -> bool:
        if self.found is None:
            return self.dead_ends > self.patience
        return self.is_large or self.left <= 0 or self.cost == self.least

    def _may_win(self, cost: int, done: int) -> bool:
        """Return whether a branch may still end cheaper than what is found, as far as it can be told quickly."""
        if self.is_large:
            return True
        number = self.group_of[done]
        seated = sum(len(group.seats) for group in self.groups[:number])
        rest = [(self.groups[number], seated + len(self.groups[number].seats) - done)]
        rest += [(group, len(group.seats)) for group in self.groups[number + 1 :]]
        self.left -= len(rest) * sum(map(len, self.board.alike.values()))
        least = bound(self.board, rest)
        if least is not None and (self.found is None or cost + least < self.cost):
            return True
        self.dead_ends += 1
        return False

    def _tries(self, done: int, without: frozenset[int]) -> Iterator[_Try]:
        """Yield what can be tried for the next seat, the cheapest first. What is tried with one of a group need not
        be tried with its others again.
        """
        if done and self.group_of[done] != self.group_of[done - 1]:
            without = _NONE
        seat = self.seats[done][1]
        classes = sorted(self.board.classes(self.party_of[done], seat, without), key=_first)
        self.left -= len(classes)
        for candidates, members in classes:
            for candidate in candidates:
                yield _Try(candidate, without)
            without |= members
        self.dead_ends += not classes


def _first(kind: tuple[tuple[Candidate, ...], frozenset[int]]) -> tuple[int, tuple[int, ...], int]:
    best = kind[0][0]
    return best.cost, best.fit.scattered[:3], best.lot


def _better(
    board: Board, seats: Sequence[tuple[Party, Seat]], found: list[Candidate], taken: list[Taken], tell: Tell
) -> int:
    """Have one replica after the other go where it costs less, while that helps; return what that changed."""
    changed = 0
    for _ in range(ROUNDS):
        before = changed
        for number, (party, seat) in enumerate(seats):
            board.put_back(taken[number])
            now, best = board.again(party, seat, found[number]), board.cheapest(party, seat)
            if best is not None and best.cost < now.cost:
                changed += best.cost - now.cost
                now = best
            found[number], taken[number] = now, board.take(party.model, now)
            if number and number % TOLD == 0:
                tell("bettering", number, len(seats))
        if changed == before:
            break
    return changed
