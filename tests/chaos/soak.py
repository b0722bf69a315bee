"""Kills real runs at every point and at random instants, and prints what came of it.

`python -m tests.chaos.soak [-ground local|docker] [-every N] [-kills N] [-cuts N]` takes some minutes on this machine,
and hours on Docker hosts of the test bed; docs/soak.md keeps its last tables, with date and commit.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.cuts import CUTS, cut_at_random
from tests.chaos.forks import Forks
from tests.chaos.racks import Racked, take_rack
from tests.chaos.stacks import LOCAL, Ground, Verdict
from tests.chaos.stories import RACK_STORIES, STORIES, Story, kill_at_points, kill_at_random
from tests.testbed.bed import Bed
from tests.testbed.pool import Pool

ROW = "| {} | {} | {} | {} | {} | {} |"
MOST = 10_000  # no story has as many points
GROUNDS = {"local": "llama.cpp on this machine", "docker": "two Docker hosts, 20.10 and 28, with GPUs"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-every", "--every", type=int, default=1, help="only each Nth point")
    parser.add_argument("-kills", "--kills", type=int, default=200, help="kills at random instants")
    parser.add_argument("-cuts", "--cuts", type=int, default=20, help="power cuts, and as many cut links")
    parser.add_argument("-ground", "--ground", choices=GROUNDS, help="where; both without it")
    asked = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="infctl-soak-") as name:
        if asked.ground != "docker":
            head("local")
            with Forks() as forks:
                good = kill_all(STORIES, Path(name) / "local", forks, LOCAL, asked)
        if asked.ground != "local":
            head("docker")
            with rack() as ground, Forks() as forks:
                good = kill_all(RACK_STORIES, Path(name) / "docker", forks, ground, asked) and good
                for number, cut in enumerate(CUTS):
                    place = Path(name) / f"cut{number}"
                    found = cut_at_random(cut, place, forks, ground, times=asked.cuts, seed=1)
                    good = tell(f"{cut.name} in mid-run, at random", found) and good
    return 0 if good else 1


@contextmanager
def rack() -> Iterator[Racked]:
    """Hosts of a bed of their own, HOME being the bed's from then on."""
    bed = Bed()
    try:
        os.environ["HOME"] = str(bed.home)
        yield take_rack(lambda *makes, loaded: Pool(bed).take(makes, loaded))
    finally:
        bed.close()


def head(ground: str) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {GROUNDS[ground]}, SIGKILL:\n")
    print(ROW.format("what was killed", "kills", "state readable", "converged", "orphans", "duplicates"))
    print(ROW.format(*["---"] * 6), flush=True)


def kill_all(stories: Iterable[Story], folder: Path, forks: Forks, ground: Ground, asked: argparse.Namespace) -> bool:
    """Kill at the points of these stories, then at random; return whether nothing was lost."""
    which = f"each {asked.every}th" if asked.every > 1 else "every"
    numbers = range(asked.every, MOST, asked.every)
    good = True
    for number, story in enumerate(stories):
        found = (verdict for _, verdict in kill_at_points(story, folder / str(number), forks, ground, numbers))
        good = tell(f"{story.name}, at {which} point", found) and good
    random = kill_at_random(folder / "random", forks, ground, kills=asked.kills, seed=1)
    return tell("runs from one stack to another, at random", random) and good


def tell(what: str, verdicts: Iterable[Verdict]) -> bool:
    """Print one row; return whether nothing was lost."""
    found = list(verdicts)
    bad = [verdict.why for verdict in found if not verdict.good]
    readable, converged = sum(v.readable for v in found), sum(v.converged for v in found)
    orphans, duplicates = sum(v.orphans for v in found), sum(v.duplicates for v in found)
    print(ROW.format(what, len(found), readable, converged, orphans, duplicates), flush=True)
    for why in bad:
        print(why, file=sys.stderr)
    return not bad


if __name__ == "__main__":
    sys.exit(main())
