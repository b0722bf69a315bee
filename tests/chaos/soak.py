"""Kills real runs on this machine at every point and at random instants, and prints what came of it.

`python -m tests.chaos.soak [-kills N]` takes some minutes; docs/soak.md keeps its last table, with date and commit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.forks import Forks
from tests.chaos.stacks import Verdict
from tests.chaos.stories import STORIES, kill_at_points, kill_at_random

ROW = "| {} | {} | {} | {} | {} | {} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-kills", "--kills", type=int, default=200, help="kills at random instants")
    kills = parser.parse_args().kills
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, llama.cpp on this machine, SIGKILL:\n")
    print(ROW.format("what was killed", "kills", "state readable", "converged", "orphans", "duplicates"))
    print(ROW.format(*["---"] * 6), flush=True)
    good = True
    with tempfile.TemporaryDirectory(prefix="infctl-soak-") as name, Forks() as forks:
        folder = Path(name)
        for number, story in enumerate(STORIES):
            place = folder / str(number)
            place.mkdir()
            found = (verdict for _, verdict in kill_at_points(story, place, forks, "local"))
            good = tell(f"{story.name}, at every point", found) and good
        good = (
            tell(
                "runs from one stack to another, at random", kill_at_random(folder, forks, "local", kills=kills, seed=1)
            )
            and good
        )
    return 0 if good else 1


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
