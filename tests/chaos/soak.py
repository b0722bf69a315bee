"""Kills real runs at every point and at random instants, and prints what came of it.

`python -m tests.chaos.soak [-ground local|docker] [-every N] [-kills N] [-cuts N] [-beds N] [-part N]` takes some
minutes on this machine, and most of an hour on Docker hosts of the test bed; docs/soak.md keeps its last tables, with
date and commit. On Docker hosts several beds share the work, for much of it is waiting.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from tests.chaos.cuts import CUTS, cut_at_random
from tests.chaos.forks import Forks
from tests.chaos.racks import Racked, take_rack
from tests.chaos.stacks import LOCAL, Ground, Verdict
from tests.chaos.stories import RACK_ROUNDS, STORIES, Story, kill_at_points, kill_at_random
from tests.testbed.bed import Bed
from tests.testbed.pool import Pool

G = TypeVar("G", bound=Ground)
ROW = "| {} | {} | {} | {} | {} | {} |"
MOST = 10_000  # no story has as many points
GROUNDS = {"local": "llama.cpp on this machine", "docker": "two Docker hosts, 20.10 and 28, with GPUs"}


class Place(NamedTuple, Generic[G]):
    """Where one thread kills: of `of` places this is number `number`."""

    number: int
    of: int
    folder: Path
    forks: Forks
    ground: G

    def share(self, times: int) -> int:
        return len(range(self.number, times, self.of))


Found = Iterable[tuple[str, int, Verdict]]  # row, number of the point or of the kill, what came of it


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-every", "--every", type=int, default=1, help="only each Nth point")
    parser.add_argument("-kills", "--kills", type=int, default=200, help="kills at random instants")
    parser.add_argument("-cuts", "--cuts", type=int, default=20, help="power cuts, and as many cut links")
    parser.add_argument("-ground", "--ground", choices=GROUNDS, help="where; both without it")
    parser.add_argument("-beds", "--beds", type=int, default=2, help="beds of Docker hosts at once")
    parser.add_argument("-part", "--part", type=int, help="only this part of a ground's work, from 0")
    asked = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="infctl-soak-") as name:
        if asked.ground != "docker":
            head("local")
            with Forks() as forks:
                here = Place(0, 1, Path(name) / "local", forks, LOCAL)
                works = [partial(kill_story, [story], asked.every) for story in STORIES]
                good = tell_all([*works, partial(kill_randomly, asked.kills)], [here], asked.part)
        if asked.ground != "local":
            head("docker")
            with racks(asked.beds, Path(name) / "docker") as places:
                works = [partial(kill_story, told, asked.every) for told in RACK_ROUNDS]
                cuts = [partial(cut, number, asked.cuts) for number in range(len(CUTS))]
                good = tell_all([*works, partial(kill_randomly, asked.kills), *cuts], places, asked.part) and good
    return 0 if good else 1


@contextmanager
def racks(count: int, folder: Path) -> Iterator[list[Place[Racked]]]:
    """Hosts of beds of their own."""
    with ExitStack() as held:
        places = []
        for number in range(count):
            bed = Bed()
            held.callback(bed.close)
            ground = take_rack(lambda *makes, loaded, bed=bed: Pool(bed).take(makes, loaded))
            places.append(Place(number, count, folder / str(number), held.enter_context(Forks()), ground))
        yield places


def head(ground: str) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {GROUNDS[ground]}, SIGKILL:\n")
    print(ROW.format("what was killed", "kills", "state readable", "converged", "orphans", "duplicates"))
    print(ROW.format(*["---"] * 6), flush=True)


def kill_story(told: Iterable[Story], every: int, place: Place[Ground]) -> Found:
    which = f"each {every}th" if every > 1 else "every"
    numbers = range(every * (place.number + 1), MOST, every * place.of)
    for name, number, verdict in kill_at_points(told, place.folder, place.forks, place.ground, numbers):
        yield f"{name}, at {which} point", number, verdict


def kill_randomly(kills: int, place: Place[Ground]) -> Found:
    share = place.share(kills)
    found = kill_at_random(place.folder, place.forks, place.ground, kills=share, seed=place.number)
    for number, verdict in enumerate(found, 1):
        yield "runs from one stack to another, at random", number, verdict


def cut(which: int, times: int, place: Place[Racked]) -> Found:
    one, share = CUTS[which], place.share(times)
    found = cut_at_random(one, place.folder, place.forks, place.ground, times=share, seed=place.number)
    for number, verdict in enumerate(found, 1):
        yield f"{one.name} in mid-run, at random", number, verdict


def tell_all(works: list[Callable[[Place[G]], Found]], places: list[Place[G]], part: int | None) -> bool:
    """Do each work at all places at once and print its rows; return whether nothing was lost."""
    good = True
    with ThreadPoolExecutor(len(places)) as hands:
        for index, work in enumerate(works):
            if part not in {None, index}:
                continue
            began = time.monotonic()
            each = [place._replace(folder=place.folder / str(index)) for place in places]
            rows: dict[str, list[Verdict]] = {}
            for ended, found in hands.map(partial(do, work), each):
                good = good and ended
                for name, verdict in found:
                    rows.setdefault(name, []).append(verdict)
            for name, verdicts in rows.items():
                good = tell(name, verdicts) and good
            print(f"part {index}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return good


def do(work: Callable[[Place[G]], Found], place: Place[G]) -> tuple[bool, list[tuple[str, Verdict]]]:
    """Return whether the work came to its end, and what came of it; each is said at once: the rest may take long."""
    found = []
    try:
        for name, number, verdict in work(place):
            found.append((name, verdict))
            print(f"{name}, {number}: {'good' if verdict.good else verdict}", file=sys.stderr, flush=True)
    except AssertionError as failure:
        print(f"place {place.number}, after {len(found)}: {failure}", file=sys.stderr, flush=True)
        return False, found
    return True, found


def tell(what: str, verdicts: list[Verdict]) -> bool:
    """Print one row; return whether nothing was lost."""
    readable, converged = sum(v.readable for v in verdicts), sum(v.converged for v in verdicts)
    orphans, duplicates = sum(v.orphans for v in verdicts), sum(v.duplicates for v in verdicts)
    print(ROW.format(what, len(verdicts), readable, converged, orphans, duplicates), flush=True)
    return all(verdict.good for verdict in verdicts)


if __name__ == "__main__":
    sys.exit(main())
