"""Hosts that fail: what each fault costs in time, what is said of it, and that the others go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from infctl_docker.errors import HostDown
from infctl_docker.hosts import Fleet, Host, HostConfig
from tests.testbed.hosts import DockerHost
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

SLACK = 4.0  # seconds that a busy machine may add


def fleet_of(*reals: DockerHost, timeout: float = 2) -> Fleet:
    return Fleet(tuple(Host(HostConfig(url=real.url, name=real.name, timeout=timeout)) for real in reals))


def ask_name(host: Host) -> str:
    name: str = host.ask("/info")["Name"]
    return name


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds + SLACK


@pytest.fixture
def real(hosts: HostsOf) -> Iterator[DockerHost]:
    (host,) = hosts("current")
    yield host
    if host.on:
        host.heal()


def test_a_black_hole_costs_its_timeout_once_and_is_named(hosts: HostsOf) -> None:
    dead, fine = hosts("old", "current")
    dead.swallow()
    fleet = fleet_of(dead, fine)
    with within(2):
        found = fleet.each(ask_name)
    assert found[fine.name] == fine.name
    down = found[dead.name]
    assert isinstance(down, HostDown)
    assert down.place == dead.name
    assert down.reason == f"no answer from {dead.address}:22 within 2 s"
    began = time.monotonic()
    with pytest.raises(HostDown):
        fleet[dead.name].run(("true",))
    assert isinstance(fleet.each(ask_name)[dead.name], HostDown)
    assert time.monotonic() - began < 1.5
    dead.heal()
    fleet.close()


@pytest.mark.parametrize(
    ("hurt", "words"),
    [
        (lambda host: host.freeze("sshd"), "no answer from sshd at {address}:22 within 2 s"),
        (lambda host: host.stop("sshd"), "{address}:22 refuses connections"),
        (lambda host: host.partition(), "{address}:22"),
        (lambda host: host.stop("dockerd"), "the Docker daemon is not running there"),
    ],
    ids=["sshd hangs", "sshd is not there", "cable pulled", "dockerd is not there"],
)
def test_a_host_that_cannot_be_asked_is_told(real: DockerHost, hurt: Callable[[DockerHost], None], words: str) -> None:
    hurt(real)
    fleet = fleet_of(real)
    with within(4):
        found = fleet.each(ask_name)[real.name]
    assert isinstance(found, HostDown)
    assert words.format(address=real.address) in found.reason
    assert found.hint
    fleet.close()


def test_a_daemon_that_hangs_costs_the_time_that_reading_may_take(real: DockerHost) -> None:
    host = fleet_of(real).hosts[0]
    assert ask_name(host) == real.name
    real.freeze("dockerd")
    with within(1), pytest.raises(HostDown) as down:
        host.read(("/info",), timeout=1)
    assert down.value.reason == "no answer from the Docker daemon within 1 s"
    assert host.run(("echo", "alive")).stdout == "alive\n"
    host.close()


def test_a_daemon_that_was_restarted_is_asked_again(real: DockerHost) -> None:
    host = fleet_of(real).hosts[0]
    assert ask_name(host) == real.name
    real.stop("dockerd")
    with pytest.raises(HostDown) as down:
        ask_name(host)
    assert down.value.reason == "the Docker daemon is not running there"
    real.start("dockerd")
    assert ask_name(host) == real.name
    assert host.api.inspect_image("busybox:1")
    host.close()


def test_a_link_that_is_swallowed_in_the_middle_of_a_call_ends_it(real: DockerHost) -> None:
    host = fleet_of(real).hosts[0]
    assert ask_name(host) == real.name
    real.swallow()
    with within(1 + 5), pytest.raises(HostDown) as down:
        host.read(("/info",), timeout=1)
    assert down.value.reason == "no answer from the host within 1 s"
    with within(2), pytest.raises(HostDown):
        ask_name(host)
    host.close()


def test_a_stream_without_timeout_notices_a_half_dead_link(real: DockerHost) -> None:
    host = fleet_of(real).hosts[0]
    real.docker("run", "-d", "--name", "talker", "busybox:1", "sh", "-c", "echo on; sleep 900")
    lines = host.api.logs("talker", stream=True, follow=True)
    assert next(lines) == b"on\n"
    real.swallow()
    with within(10 + 5), pytest.raises(HostDown):
        next(lines)
    host.close()


def test_a_cut_link_ends_what_is_under_way_and_is_got_over(real: DockerHost) -> None:
    host = fleet_of(real, timeout=10).hosts[0]
    real.docker("run", "-d", "--name", "talker", "busybox:1", "sh", "-c", "echo on; sleep 900")
    lines = host.api.logs("talker", stream=True, follow=True)
    assert next(lines) == b"on\n"
    cut_links(real)
    with within(2), pytest.raises(HostDown) as down:
        next(lines)
    assert "broke" in down.value.reason
    assert ask_name(host) == real.name
    host.close()


def test_a_daemon_that_dies_in_the_middle_of_a_stream_does_not_look_like_its_end(real: DockerHost) -> None:
    host = fleet_of(real, timeout=10).hosts[0]
    real.docker("run", "-d", "--name", "talker", "busybox:1", "sh", "-c", "echo on; sleep 900")
    lines = host.api.logs("talker", stream=True, follow=True)
    assert next(lines) == b"on\n"
    real.sh("sh", "-c", "kill -9 $(busybox pidof dockerd)")
    with within(2), pytest.raises(HostDown) as down:
        next(lines)
    assert "broke" in down.value.reason
    host.close()


def test_a_command_whose_link_is_cut_did_not_end(real: DockerHost) -> None:
    host = fleet_of(real, timeout=10).hosts[0]
    assert host.run(("true",)).status == 0
    cutting = threading.Timer(0.5, cut_links, (real,))
    cutting.start()
    with pytest.raises(HostDown) as down:
        host.run(("sh", "-c", "echo begun; sleep 900"))
    assert "broke" in down.value.reason
    cutting.join()
    host.close()


def test_an_idle_link_that_was_cut_is_made_anew(real: DockerHost) -> None:
    host = fleet_of(real, timeout=10).hosts[0]
    assert ask_name(host) == real.name
    cut_links(real)
    assert ask_name(host) == real.name
    host.close()


def cut_links(real: DockerHost) -> None:
    """Kill the host's side of every SSH connection, as a reboot of a firewall in between would."""
    real.sh("sh", "-c", "ps -eo pid,args | awk '/[s]shd: root@notty/ {print $1}' | xargs kill -9")


def test_many_at_once_get_past_an_sshd_that_turns_some_away(hosts: HostsOf) -> None:
    (real,) = hosts("current")
    many = Fleet(tuple(Host(HostConfig(url=real.url, name=f"n{n}")) for n in range(20)))  # MaxStartups is 10:30:100
    assert set(many.each(ask_name).values()) == {real.name}
    many.close()


def test_what_is_wrong_with_the_question_is_not_the_host_s_end(real: DockerHost) -> None:
    fleet = fleet_of(real)
    with pytest.raises(ValueError, match="not the path of a request"):
        fleet.each(lambda host: host.ask("/a b"))
    assert fleet.each(ask_name) == {real.name: real.name}
    fleet.close()
