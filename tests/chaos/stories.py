"""Owns what is being done when a run is killed, and the killing: at a numbered point, or at any instant.

Knows nothing of how what came of it is shown.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.forks import Forks
from tests.chaos.stacks import NOTHING, Ground, Stack, Verdict, Wish, Wishes


@dataclass(frozen=True)
class Story:
    """From `before` to `after`; once that was killed `then` is asked for, `after` again unless it is given.

    `back_and_forth`: the way back is of the same kind, so it is killed too.
    """

    name: str
    before: Wishes
    after: Wishes
    then: Wishes | None = None
    back_and_forth: bool = False

    @property
    def back(self) -> Story:
        return replace(self, before=self.after, after=self.before)


SMALL, LARGE = Wish(512, replicas=2), Wish(1024, replicas=2)
STORIES = (
    Story("first apply", NOTHING, {"chat": SMALL}),
    Story("another context size", {"chat": SMALL}, {"chat": LARGE}, back_and_forth=True),
    Story("removal of a model", {"chat": SMALL, "tool": Wish()}, {"chat": SMALL}),
    Story("destroy", {"chat": SMALL}, NOTHING),
    Story("another context size, then the old one", {"chat": SMALL}, {"chat": LARGE}, then={"chat": SMALL}),
    Story("destroy, then apply", {"chat": SMALL}, NOTHING, then={"chat": SMALL}),
)
RACK_ROUNDS = (  # where one ends the next begins: nothing has to be put up just to be killed
    (Story("first apply", NOTHING, {"chat": SMALL}), Story("destroy", {"chat": SMALL}, NOTHING)),
    (Story("another context size", {"chat": SMALL}, {"chat": LARGE}, back_and_forth=True),),
    (Story("one replica less, then one more", {"chat": Wish(replicas=3)}, {"chat": SMALL}, back_and_forth=True),),
    (Story("one model more, then one less", {"chat": SMALL}, {"chat": SMALL, "tool": Wish()}, back_and_forth=True),),
    (Story("first apply, then destroy", NOTHING, {"chat": SMALL}, then=NOTHING),),
)
CHOICES: tuple[Wishes, ...] = (
    NOTHING,
    {"chat": SMALL},
    {"chat": LARGE},
    {"chat": SMALL, "tool": LARGE},
    {"tool": LARGE},
)


def kill_at_points(
    told: Iterable[Story], folder: Path, forks: Forks, ground: Ground, numbers: Iterable[int]
) -> Iterator[tuple[str, int, Verdict]]:
    """Kill stories at their points of these numbers, one after the other at each, until they have no more.

    Yield name, number and what came of it. A first apply finds a folder and a ground on which nothing ever was.
    """
    stack, left = Stack(folder, forks, ground), {story.name: story for story in told}
    try:
        for number in numbers:
            for story in tuple(left.values()):
                if not story.before:
                    stack = stack.afresh(folder / str(number))
                elif stack.wishes != story.before:
                    stack.settle(story.before)
                died = stack.run(story.after, "-parallelism=1", fault=f"kill:{number}")
                if not died.killed:
                    assert died.code == 0, died.said
                    del left[story.name]
                    continue
                yield story.name, number, stack.verdict(story.after if story.then is None else story.then)
                if story.back_and_forth:
                    left[story.name] = story.back
            if not left:
                return
    finally:
        stack.afresh(folder)


def points_of(story: Story, folder: Path, forks: Forks, ground: Ground) -> tuple[str, ...]:
    """Return the names of the points that `story` passes, in order."""
    stack = Stack(folder, forks, ground)
    if story.before:
        stack.settle(story.before)
    listed = stack.run(story.after, "-parallelism=1", fault="list")
    stack.afresh(folder)
    assert listed.code == 0, listed.said
    lines = (line.split(maxsplit=2) for line in listed.err.splitlines() if line.startswith("fault "))
    numbered = [(int(number), name) for _, number, name in lines]
    assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
    return tuple(name for _, name in numbered)


def kill_at_random(folder: Path, forks: Forks, ground: Ground, *, kills: int, seed: int) -> Iterator[Verdict]:
    """Go from one stack to another and kill at instants that `seed` decides; yield what came of each of `kills`.

    Now and then the run after a killed one is killed too: such a streak counts once.
    """
    dice = random.Random(seed)
    stack = Stack(folder, forks, ground)
    longest = stack.run(CHOICES[1]).seconds
    try:
        while kills:
            wishes = dice.choice([choice for choice in CHOICES if choice != stack.wishes])
            died = stack.run(wishes, kill_after=dice.uniform(0, longest))
            while died.killed and dice.random() < 0.25:
                died = stack.run(dice.choice(CHOICES), kill_after=dice.uniform(0, longest))
            if died.killed:
                kills -= 1
                yield stack.verdict(stack.wishes)
            else:
                assert died.code == 0, died.said
    finally:
        stack.afresh(folder)
