"""Owns hosts that fall while infctl changes them: one's power or link is cut, at an instant that a seed decides.

The run that met it ends by itself, with words; then the host comes back, and one further run must bring what was asked
for. Knows nothing of how what came of it is shown.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.forks import Forks, Ran
from tests.chaos.racks import Racked
from tests.chaos.stacks import Stack, Verdict, Wishes
from tests.chaos.stories import CHOICES
from tests.testbed.hosts import DockerHost

EARLIEST = 0.2  # of a whole run: before, nothing is being changed yet


@dataclass(frozen=True)
class Cut:
    """What happens to a host, and what undoes it."""

    name: str
    hurt: Callable[[DockerHost], object]
    mend: Callable[[DockerHost], object]


CUTS = (
    Cut("the power of a host", DockerHost.crash, DockerHost.up),
    Cut("the link of a host", DockerHost.partition, DockerHost.heal),
)


def cut_at_random(cut: Cut, folder: Path, forks: Forks, ground: Racked, *, times: int, seed: int) -> Iterator[Verdict]:
    """Go from one stack to another and cut something in the middle; yield what came of each of `times`."""
    dice = random.Random(seed)
    stack = Stack(folder, forks, ground)
    longest = stack.run(CHOICES[1]).seconds
    try:
        while times:
            wishes = dice.choice([choice for choice in CHOICES if choice != stack.wishes])
            host = dice.choice(ground.hosts)
            met = _run_and(stack, wishes, dice.uniform(EARLIEST, 1) * longest, partial(cut.hurt, host))
            if met is None:  # it was through before
                continue
            assert not met.killed, met.said
            assert "Traceback" not in met.said, met.said
            cut.mend(host)
            times -= 1
            yield stack.verdict(wishes)
    finally:
        stack.afresh(folder)


def _run_and(stack: Stack, wishes: Wishes, after: float, hurt: Callable[[], object]) -> Ran | None:
    """Run for `wishes` and do `hurt` some seconds after its start; None when the run was through before."""
    ended, done = threading.Event(), []

    def wait() -> None:
        if not ended.wait(after):
            done.append(hurt())

    waiting = threading.Thread(target=wait)
    waiting.start()
    met = stack.run(wishes)
    ended.set()
    waiting.join()
    return met if done else None
