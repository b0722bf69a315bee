"""AWS while infctl is killed: a seeded sample of the points around every call that changes something."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.clouds import Clouded
from tests.chaos.forks import Forks
from tests.chaos.stories import RACK_ROUNDS, Story, kill_at_points, points_of
from tests.testbed.aws.cloud import Cloud

pytestmark = [pytest.mark.xdist_group("aws"), pytest.mark.timeout(300)]
SEED = 7
EARLIEST = 9  # points before are the lock's
LIVES: tuple[tuple[Story, ...], ...] = (RACK_ROUNDS[0], RACK_ROUNDS[1])
FEWEST = {"first apply": 90, "destroy": 60, "another context size": 50}


@pytest.fixture
def ground(cloud: Cloud) -> Clouded:
    return Clouded(cloud)


@pytest.mark.parametrize("told", LIVES, ids=[told[0].name for told in LIVES])
def test_a_run_on_aws_killed_at_some_points_is_completed_by_the_next(
    told: tuple[Story, ...], tmp_path: Path, forks: Forks, ground: Clouded
) -> None:
    names = [story.name for story in told]
    numbers = sorted(random.Random(f"{SEED} {name}").randrange(EARLIEST, FEWEST[name]) for name in names)
    found = list(kill_at_points(told, tmp_path, forks, ground, numbers))
    assert found, "some of them were killed"
    assert not {(name, number): one.why for name, number, one in found if not one.good}


def test_every_call_that_changes_something_has_points(tmp_path: Path, forks: Forks, ground: Clouded) -> None:
    points = points_of(RACK_ROUNDS[0][0], tmp_path, forks, ground)
    asked = [point for point in points if point.startswith("ask:")]
    assert len(asked) == sum(point.startswith("asked:") for point in points)
    for deed in ("CreateSecurityGroup", "CreateRole", "CreateLaunchTemplate", "PutParameter", "CreateAutoScalingGroup"):
        assert any(deed in point for point in asked), deed
    assert len(points) >= FEWEST["first apply"], len(points)
