"""SIGKILL of infctl at every point and at random instants: state is readable, and one further run converges.

`python -m tests.chaos.soak` kills at every point and many more instants of the local target.
"""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import pytest

from tests.chaos.forks import Forks
from tests.chaos.stacks import DATA, LOCAL, MEMORY, Stack, Wish
from tests.chaos.stories import STORIES, Story, kill_at_points, kill_at_random, points_of
from tests.fakes.world import Thing, World

SLICES = 3
BY_NAME = {story.name: story for story in STORIES}
OFTEN = [story for story in STORIES if story.then is None]
every_story = pytest.mark.parametrize("story", STORIES, ids=BY_NAME)


@pytest.mark.parametrize("first", range(1, SLICES + 1))
@pytest.mark.parametrize("story", OFTEN, ids=[story.name for story in OFTEN])
def test_a_run_on_this_machine_killed_at_any_point_is_completed_by_the_next(
    story: Story, first: int, tmp_path: Path, forks: Forks
) -> None:
    found = kill_at_points([story], tmp_path, forks, LOCAL, count(first, SLICES))
    assert not {number: one.why for _, number, one in found if not one.good}


@every_story
def test_a_run_on_pretend_processes_killed_at_some_points_is_completed_by_the_next(
    story: Story, tmp_path: Path, forks: Forks
) -> None:
    found = kill_at_points([story], tmp_path, forks, MEMORY, count(2, SLICES))
    assert not {number: one.why for _, number, one in found if not one.good}


@pytest.mark.parametrize("seed", range(4))
def test_runs_on_pretend_processes_killed_at_any_instant_are_completed_by_the_next(
    seed: int, tmp_path: Path, forks: Forks
) -> None:
    assert not [one.why for one in kill_at_random(tmp_path, forks, MEMORY, kills=50, seed=seed) if not one.good]


@pytest.mark.parametrize("seed", range(2))
def test_runs_on_this_machine_killed_at_any_instant_are_completed_by_the_next(
    seed: int, tmp_path: Path, forks: Forks
) -> None:
    assert not [one.why for one in kill_at_random(tmp_path, forks, LOCAL, kills=10, seed=seed) if not one.good]


@pytest.mark.parametrize(
    ("name", "deeds"),
    [
        ("first apply", {"create"}),
        ("another context size", {"create", "switch", "drain", "delete"}),
        ("destroy", {"drain", "delete"}),
    ],
)
def test_no_provider_call_and_no_write_is_left_out(name: str, deeds: set[str], tmp_path: Path, forks: Forks) -> None:
    points = points_of(BY_NAME[name], tmp_path, forks, LOCAL)
    calls = [index for index, point in enumerate(points) if point.startswith("call:")]
    assert {points[index].split(":")[1] for index in calls} == deeds
    for index in calls:
        assert points[index + 1] == points[index].replace("call:", "called:", 1)
        assert points[index - 1] in {"journal: synced", points[index - 1].replace("call:", "called:", 1)}
    text = " ".join(points)
    writes = re.findall(r"journal: before write journal: torn journal: written journal: synced", text)
    assert len(writes) == points.count("journal: before write") >= len(calls)
    assert points[-2:] == ("lock: before release", "lock: released")


def test_an_orphan_a_twin_and_a_stopped_process_would_be_seen(tmp_path: Path, forks: Forks) -> None:
    stack, wishes = Stack(tmp_path, forks, MEMORY), {"chat": Wish()}
    stack.settle(wishes)
    assert stack.verdict(wishes).good
    world = World(tmp_path / DATA / "world-here.jsonl")
    twin: Thing = {**world.things()[0], "id": "nobody", "labels": None}
    world.put(twin)
    seen = stack.verdict(wishes)
    assert (seen.good, seen.orphans, seen.duplicates) == (False, 1, 1)
    world.put({**twin, "address": 'fake_process.chat["here/9"]', "running": False})
    seen = stack.verdict(wishes)
    assert (seen.converged, seen.orphans, seen.duplicates) == (False, 1, 0)
