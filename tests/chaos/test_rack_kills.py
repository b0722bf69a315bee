"""Two Docker hosts while infctl is killed, or one of them falls: a seeded sample of what tests.chaos.soak does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.chaos.cuts import CUTS, Cut, cut_at_random
from tests.chaos.forks import Forks
from tests.chaos.racks import Racked, take_rack
from tests.chaos.stories import RACK_ROUNDS, Story, kill_at_points, kill_at_random, points_of
from tests.testbed.plugin import HostsOf

pytestmark = [pytest.mark.xdist_group("docker"), pytest.mark.timeout(300)]
SEED = 4
EARLIEST = 9  # points before are the lock's
FEWEST = {  # points that a story has at least, as `points_of` counts them
    "first apply": 180, "another context size": 120, "one replica less, then one more": 60, "destroy": 100,
    "one model more, then one less": 60, "first apply, then destroy": 180,
}  # fmt: skip


@pytest.fixture
def rack(hosts: HostsOf) -> Racked:
    return take_rack(hosts)


@pytest.mark.parametrize("told", RACK_ROUNDS, ids=[told[0].name for told in RACK_ROUNDS])
def test_a_run_on_docker_hosts_killed_at_some_points_is_completed_by_the_next(
    told: tuple[Story, ...], tmp_path: Path, forks: Forks, rack: Racked
) -> None:
    names = [story.name for story in told]
    numbers = sorted(random.Random(f"{SEED} {name}").randrange(EARLIEST, FEWEST[name]) for name in names)
    found = {(name, number): one for name, number, one in kill_at_points(told, tmp_path, forks, rack, numbers)}
    wanted = {(name, number) for name in names for number in numbers if number <= FEWEST[name]}
    assert wanted <= found.keys(), "all of them were killed"
    assert not {at: one.why for at, one in found.items() if not one.good}


def test_runs_on_docker_hosts_killed_at_any_instant_are_completed_by_the_next(
    tmp_path: Path, forks: Forks, rack: Racked
) -> None:
    assert not [one.why for one in kill_at_random(tmp_path, forks, rack, kills=2, seed=SEED) if not one.good]


@pytest.mark.parametrize("cut", CUTS, ids=[cut.name for cut in CUTS])
def test_hosts_that_fall_in_mid_run_are_made_whole_by_the_next(
    cut: Cut, tmp_path: Path, forks: Forks, rack: Racked
) -> None:
    assert not [one.why for one in cut_at_random(cut, tmp_path, forks, rack, times=1, seed=SEED) if not one.good]


def test_no_request_that_changes_a_host_is_left_out(tmp_path: Path, forks: Forks, rack: Racked) -> None:
    """What the daemons say that they did is what there were points for."""
    points = points_of(RACK_ROUNDS[0][0], tmp_path, forks, rack)
    asked = [point for point in points if point.startswith("ask:")]
    assert len(asked) == sum(point.startswith("asked:") for point in points)
    for deed in ("networks/create", "containers/create", "/start", "/archive", "/kill", "/update", "DELETE"):
        assert any(deed in point for point in asked), deed
    assert len(points) >= FEWEST["first apply"]
