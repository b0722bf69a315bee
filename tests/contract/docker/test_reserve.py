"""That a device is never promised twice on a real daemon: not by many at once, not when locks are broken under them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Labels, Share
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.promises import COPIES, DEVICES, FENCE, FOR, ID, LEASE, LINEAGE, write_shares
from infctl_docker.reserve import reserved, sweep
from tests.contract.docker.race_worker import IMAGE, ROOM
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

GPU = "GPU-race-0"
MINE = Labels("0123456789ab", "mine", "s", "default", "a.b", "b", 1, "", 3)


def reach(host: DockerHost) -> Host:
    return Host(HostConfig(url=f"unix://{host.socket}", name=host.name))


@pytest.fixture(params=["old", "current"])
def daemon(hosts: HostsOf, request: pytest.FixtureRequest) -> Iterator[Host]:
    (host,) = hosts(request.param)
    yield (reached := reach(host))
    reached.close()


def names(daemon: Host) -> list[str]:
    return sorted(name for one in daemon.api.containers(all=True) for name in one["Names"])


def leave(daemon: Host, name: str, labels: dict[str, str]) -> str:
    """Leave a container as a run that was killed does."""
    return str(daemon.api.create_container(IMAGE, command=["true"], name=name, labels=labels)["Id"])


def race(daemon: Host, socket: str, tries: int) -> list[str]:
    argv = [sys.executable, "-m", "tests.contract.docker.race_worker", socket]
    runs = [
        subprocess.Popen([*argv, lineage, str(tries)], stdout=subprocess.PIPE, text=True)
        for lineage in ("a1", "b2", "c3")
    ]
    lines = [line for run in runs for line in run.communicate()[0].splitlines()]
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(lines) == tries * len(runs)
    return lines


def test_of_many_at_once_no_two_are_promised_the_same(hosts: HostsOf) -> None:
    (host,) = hosts("current")
    daemon = reach(host)
    lines = race(daemon, str(host.socket), 5)
    counts = [int(line.split()[1]) for line in lines if line.startswith("had")]
    assert counts
    assert max(counts) <= max(ROOM.values())
    assert names(daemon) == []
    daemon.close()


def test_a_lock_broken_by_others_costs_no_second_promise(hosts: HostsOf) -> None:
    (host,) = hosts("current")
    daemon = reach(host)
    over = threading.Event()

    def break_locks() -> None:
        while not over.wait(0.005):
            for one in daemon.api.containers(all=True, filters={"name": "lock$"}):
                with suppress(DaemonError):
                    daemon.api.remove_container(one["Id"], force=True)

    vandal = threading.Thread(target=break_locks)
    vandal.start()
    try:
        lines = race(daemon, str(host.socket), 5)
    finally:
        over.set()
        vandal.join()
    counts = [int(line.split()[1]) for line in lines if line.startswith("had")]
    assert counts
    assert max(counts) <= max(ROOM.values())
    daemon.close()


class Overtaking:
    """Docker's API, where another infctl reserves between our count and our reservation, as when a lock was broken."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    def create_container(self, *given: Any, **named: Any) -> Any:
        if named.get("name") == "infctl-gpu-GPU-race-0-0":
            theirs = {ID: "quick", DEVICES: write_shares([Share(GPU, 7)])}
            self._api.create_container(IMAGE, command=["true"], labels=theirs)
        return self._api.create_container(*given, **named)


class Overtaken(Host):
    @property
    def api(self) -> Any:
        return Overtaking(super().api)


def test_who_was_overtaken_sees_it_and_steps_back(hosts: HostsOf) -> None:
    (host,) = hosts("current")
    slow = Overtaken(HostConfig(url=f"unix://{host.socket}"))
    with (
        pytest.raises(ProviderError, match="was promised to others"),
        reserved(slow, [Share(GPU, 4)], MINE, image=IMAGE, room=ROOM),
    ):
        pass
    assert len(names(slow)) == 1
    slow.close()


def test_a_share_is_held_while_the_block_runs_and_no_longer(daemon: Host) -> None:
    with reserved(daemon, [Share(GPU, 6)], MINE, image=IMAGE, room=ROOM):
        assert names(daemon) == ["/infctl-gpu-GPU-race-0-0"]
        with (
            pytest.raises(ProviderError, match="was promised to others") as refused,
            reserved(daemon, [Share(GPU, 5)], replace(MINE, id="other", lineage="theirs"), image=IMAGE, room=ROOM),
        ):
            pass
        assert "0123456789ab" in refused.value.diagnostics[0].detail
        beside = replace(MINE, id="beside", lineage="theirs")
        with reserved(daemon, [Share(GPU, 4)], beside, image=IMAGE, room=ROOM):
            assert names(daemon) == ["/infctl-gpu-GPU-race-0-0", "/infctl-gpu-GPU-race-0-1"]
    assert names(daemon) == []


def test_a_whole_device_is_nobody_elses(daemon: Host) -> None:
    leave(daemon, "theirs", {ID: "other", LINEAGE: "theirs", DEVICES: write_shares([Share(GPU, 1)])})
    with (
        pytest.raises(ProviderError, match="was promised to others"),
        reserved(daemon, [Share(GPU)], MINE, image=IMAGE, room=ROOM),
    ):
        pass


def test_of_several_devices_none_is_kept_when_one_is_taken(daemon: Host) -> None:
    slice_of = "MIG-GPU-race-1/3/0"
    leave(daemon, "theirs", {ID: "other", LINEAGE: "theirs", DEVICES: write_shares([Share(slice_of)])})
    with (
        pytest.raises(ProviderError, match="was promised to others"),
        reserved(daemon, [Share(slice_of), Share(GPU)], MINE, image=IMAGE, room=ROOM),
    ):
        pass
    assert names(daemon) == ["/theirs"]


def test_a_device_that_is_not_to_be_had_is_said(daemon: Host) -> None:
    with (
        pytest.raises(ProviderError, match="has no device GPU-gone to give"),
        reserved(daemon, [Share("GPU-gone")], MINE, image=IMAGE, room=ROOM),
    ):
        pass


def test_what_a_killed_run_left_is_taken_over(daemon: Host) -> None:
    mine = {LINEAGE: "mine", FENCE: "2", LEASE: "900", FOR: "earlier"}
    theirs = {LINEAGE: "theirs", FENCE: "9", LEASE: "0", FOR: "elsewhere"}
    whole = {DEVICES: write_shares([Share(GPU)])}
    leave(daemon, "infctl-gpu-GPU-race-0-lock", mine)
    leave(daemon, "infctl-gpu-GPU-race-0-0", {**mine, **whole})
    leave(daemon, "infctl-gpu-GPU-race-0-1", {**theirs, **whole})  # expired: its lease is over at once
    with reserved(daemon, [Share(GPU)], MINE, image=IMAGE, room=ROOM):
        assert "/infctl-gpu-GPU-race-0-2" in names(daemon)
    leave(daemon, "infctl-model-a", {LINEAGE: "mine", FENCE: "2", COPIES: "fetch"})
    leave(daemon, "infctl-model-b", {LINEAGE: "mine", FENCE: "3", COPIES: "fetch"})  # this run's own
    sweep(daemon, "mine", 3)
    assert names(daemon) == ["/infctl-gpu-GPU-race-0-1", "/infctl-model-b"]


def test_an_expired_lock_of_others_is_broken(daemon: Host) -> None:
    leave(daemon, "infctl-gpu-GPU-race-0-lock", {LINEAGE: "theirs", FENCE: "9", LEASE: "1", FOR: "elsewhere"})
    with reserved(daemon, [Share(GPU)], MINE, image=IMAGE, room=ROOM):
        assert names(daemon) == ["/infctl-gpu-GPU-race-0-0"]


def test_a_run_that_lost_its_state_lock_reserves_nothing(daemon: Host) -> None:
    leave(daemon, "infctl-gpu-GPU-race-0-lock", {LINEAGE: "mine", FENCE: "4", LEASE: "30", FOR: "later"})
    with (
        pytest.raises(ProviderError, match="A later run of this stack is at work"),
        reserved(daemon, [Share(GPU)], MINE, image=IMAGE, room=ROOM),
    ):
        pass


def test_the_same_object_made_again_is_not_in_its_own_way(daemon: Host) -> None:
    leave(daemon, "replica", {ID: MINE.id, LINEAGE: MINE.lineage, DEVICES: write_shares([Share(GPU)])})
    with reserved(daemon, [Share(GPU)], MINE, image=IMAGE, room=ROOM):
        assert "/infctl-gpu-GPU-race-0-0" in names(daemon)


@pytest.mark.parametrize("seconds", [0.35, 0.4, 0.45, 0.5, 0.6, 0.8])
def test_a_run_that_is_killed_keeps_nothing_from_the_next(hosts: HostsOf, seconds: float) -> None:
    (host,) = hosts("current")
    daemon = reach(host)
    argv = [sys.executable, "-m", "tests.contract.docker.race_worker", str(host.socket), "mine", "12"]
    killed = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    killed.kill()
    killed.wait()
    for replica in daemon.api.containers(all=True, filters={"label": ID}):  # those are the state's business
        daemon.api.remove_container(replica["Id"], force=True)
    begun = time.monotonic()
    later = replace(MINE, id="mine-later", fence=4)
    whole = [Share(device, 1) for device in ROOM]
    with reserved(daemon, whole, later, image=IMAGE, room=ROOM):
        pass
    assert time.monotonic() - begun < 5  # and not after the lock's lease
    sweep(daemon, "mine", 4)
    assert [name for name in names(daemon) if name.startswith("/infctl-gpu-")] == []
    daemon.close()
