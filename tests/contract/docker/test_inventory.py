"""What real hosts have, read over SSH, over TCP without a shell, and of this machine by NVIDIA's library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from infctl.provider.values import Device, Place, Share
from infctl_docker.ask import ASKING, NO_IMAGE, ask_in_container
from infctl_docker.facts.daemon import parse_daemon
from infctl_docker.grant import grant
from infctl_docker.hosts import Fleet, Host, HostConfig
from infctl_docker.inventory import Sights
from infctl_docker.promises import DEVICES, ID, LEASE, LINEAGE, VALUES, write_shares
from tests.testbed import gpus
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")

GPU = [gpus.uuid_of(number) for number in range(3)]
MIB = 1024**2
IMAGES = ("not-there:1", "busybox:1")
HOOK, CDI = Make("old", gpus="h100x2+l4x1"), Make("current", gpus="h100x2+l4x1", tcp="tls")
BARE = Make("current", tcp="tls")

SightsOf = Callable[..., Sights]


@pytest.fixture
def sights() -> Iterator[SightsOf]:
    fleets: list[Fleet] = []

    def make(*configs: dict[str, object], reserve: Sequence[str | int] = (), images: Sequence[str] = IMAGES) -> Sights:
        fleets.append(Fleet(tuple(Host(HostConfig.model_validate(config)) for config in configs)))
        names = [host.name for host in fleets[-1].hosts]
        return Sights(fleets[-1], dict.fromkeys(names, reserve), images, "mine")

    yield make
    for fleet in fleets:
        fleet.close()


def by_ssh(host: DockerHost) -> dict[str, object]:
    return {"url": host.url, "name": host.name}


def by_tcp(host: DockerHost) -> dict[str, object]:
    return {"url": host.tcp_url, "name": f"{host.name}-tcp", "tls": str(host.bed.authority.folder)}


def one(sights: Sights) -> Place:
    read = sights.inventory()
    assert read.unreadable == ()
    (place,) = read.value.places
    return place


def devices(sights: Sights) -> dict[str, Device]:
    return {device.uuid: device for device in one(sights).devices}


def run(host: DockerHost, name: str, *options: str) -> str:
    return host.docker("run", "-d", "--name", name, *options, "busybox:1", "sleep", "900").strip()


def test_a_host_tells_the_same_over_ssh_and_over_tcp_by_runtime_and_by_cdi(hosts: HostsOf, sights: SightsOf) -> None:
    old, new = hosts(HOOK, CDI)
    read = sights(by_ssh(old), by_ssh(new), by_tcp(new)).inventory()
    assert read.unreadable == ()
    assert [place.name for place in read.value.places] == [old.name, new.name, f"{new.name}-tcp"]
    first, *others = read.value.places
    assert [(one.uuid, one.product, one.memory_total, one.compute) for one in first.devices] == [
        (GPU[0], "NVIDIA H100 80GB HBM3", 81559 * MIB, "9.0"),
        (GPU[1], "NVIDIA H100 80GB HBM3", 81559 * MIB, "9.0"),
        (GPU[2], "NVIDIA L4", 23034 * MIB, "8.9"),
    ]
    assert all(place.devices == first.devices and place.memory_total == first.memory_total for place in others)
    assert all(0 < place.memory_free < place.memory_total and place.cpus for place in read.value.places)


@pytest.mark.parametrize("way", ["nvidia", "cdi"])
def test_a_container_sees_what_it_is_given_and_nothing_else(hosts: HostsOf, sights: SightsOf, way: str) -> None:
    (host,) = hosts(HOOK if way == "nvidia" else CDI)
    seen = sights(by_ssh(host) if way == "nvidia" else by_tcp(host))
    reached = seen._fleet.hosts[0]
    tell = seen.of(reached).tell
    assert tell.access == way
    given = grant(reached.name, tell, [Share(GPU[2]), Share(GPU[0], 5)])
    api = reached.api
    config: Any = {**api.create_host_config(), **given}
    made = api.create_container("busybox:1", command=["nvidia-smi", "-L"], host_config=config)
    api.start(made["Id"])
    api.wait(made["Id"])
    listed = api.logs(made["Id"]).decode()
    assert [uuid for uuid in GPU if uuid in listed] == [GPU[0], GPU[2]]


def test_who_may_use_docker_and_no_more_reads_all_of_it(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(HOOK)
    as_root, as_user = sights(by_ssh(host)), sights({**by_ssh(host), "url": f"ssh://deploy@{host.address}"})
    assert list(devices(as_user).items()) == list(devices(as_root).items())
    assert [one.of(one._fleet.hosts[0]).disk is not None for one in (as_root, as_user)] == [True, True]


def test_what_others_run_and_ask_for_is_counted(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(HOOK)
    run(host, "by-index", "--gpus", "device=1")
    run(host, "monitor", "--gpus", "all")
    pid = host.docker("inspect", "-f", "{{.State.Pid}}", "monitor").strip()
    host.sh("tee", "/etc/testbed/gpu-apps", given=f"{GPU[2]}, {pid}, 900\n".encode())
    host.sh("sh", "-c", "sed -i 's/23034, 0/23034, 900/' /etc/testbed/gpus.d/02")
    found = devices(sights(by_ssh(host)))
    assert (found[GPU[0]].memory_free, found[GPU[0]].taken) == (81559 * MIB, False)
    assert (found[GPU[1]].memory_free, found[GPU[1]].taken) == (0, True)
    assert (found[GPU[2]].memory_free, found[GPU[2]].taken) == ((23034 - 900) * MIB, True)


def test_our_own_promises_are_counted_once_used_or_not(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(HOOK)
    label = f"{DEVICES}={write_shares([Share(GPU[0], 30_000 * MIB), Share(GPU[1])])}"
    run(
        host,
        "ours",
        "--label",
        f"{ID}=a",
        "--label",
        f"{LINEAGE}=mine",
        "--label",
        label,
        "--gpus",
        f'"device={GPU[0]},{GPU[1]}"',
    )
    pid = host.docker("inspect", "-f", "{{.State.Pid}}", "ours").strip()
    host.sh("tee", "/etc/testbed/gpu-apps", given=f"{GPU[0]}, {pid}, 20000\n".encode())
    host.sh("sh", "-c", "sed -i 's/81559, 0/81559, 20500/' /etc/testbed/gpus.d/00")
    found = devices(sights(by_ssh(host)))
    assert found[GPU[0]].memory_free == (81559 - 30_000 - 500) * MIB  # 500 are somebody else's
    assert found[GPU[1]].memory_free == 0
    assert found[GPU[0]].taken
    assert not found[GPU[2]].taken
    host.docker("stop", "-t", "0", "ours")
    host.sh("rm", "/etc/testbed/gpu-apps")
    assert not devices(sights(by_ssh(host)))[GPU[1]].taken


def test_a_reserved_device_is_left_out(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(CDI)
    assert list(devices(sights(by_ssh(host), reserve=[1, GPU[2]]))) == [GPU[0]]


@pytest.mark.parametrize("shell", [True, False])
def test_memory_that_was_promised_is_not_free_before_it_is_used(hosts: HostsOf, sights: SightsOf, shell: bool) -> None:
    (host,) = hosts(BARE)
    seen = sights(by_ssh(host) if shell else by_tcp(host))
    before = one(seen).memory_free
    promise = 3 * 1024**3
    run(host, "ours", "--label", f"{ID}=a", "--label", VALUES + "=" + json.dumps({"memory": promise}))
    run(host, "limited", "--memory", "1g")
    lost = before - one(seen).memory_free
    expected = promise if shell else promise + 1024**3
    assert abs(lost - expected) < 1024**3 // 3


def test_a_host_without_gpus_has_none_and_is_well(hosts: HostsOf, sights: SightsOf) -> None:
    old, new = hosts("old", BARE)
    for config in (by_ssh(old), by_ssh(new), by_tcp(new)):
        seen = sights(config)
        place = one(seen)
        assert place.devices == ()
        assert 0 < place.memory_free <= place.memory_total


def test_a_dead_host_is_named_and_the_others_are_read(hosts: HostsOf, sights: SightsOf) -> None:
    dead, alive = hosts("old", HOOK)
    dead.crash()
    read = sights({**by_ssh(dead), "timeout": 2}, by_ssh(alive)).inventory()
    assert [place.name for place in read.value.places] == [alive.name]
    ((place, reason, hint),) = [(lost.place, lost.reason, lost.hint) for lost in read.unreadable]
    assert (place, bool(reason), bool(hint)) == (dead.name, True, True)


def test_a_daemon_that_is_down_makes_its_host_unreadable(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(HOOK)
    host.stop("dockerd")
    read = sights(by_ssh(host)).inventory()
    assert read.value.places == ()
    assert [lost.place for lost in read.unreadable] == [host.name]


def test_who_asks_in_a_container_leaves_none_not_even_a_killed_ones(hosts: HostsOf, sights: SightsOf) -> None:
    (host,) = hosts(CDI)
    for name, lease in (("killed", 0), ("asking", 900)):
        labels = ("--label", f"{ASKING}=gpus", "--label", f"{LEASE}={lease}")
        host.docker("create", "--name", name, *labels, "busybox:1", "true")
    time.sleep(1.1)  # the daemon tells whole seconds
    one(sights(by_tcp(host)))
    assert host.docker("ps", "-a", "--format", "{{.Names}}").split() == ["asking"]


def test_an_image_that_cannot_ask_is_passed_over_and_said_when_there_is_no_other(hosts: HostsOf) -> None:
    (host,) = hosts(CDI)
    host.sh("sh", "-c", "tar -cf - -T /dev/null | docker import -c 'CMD [\"/none\"]' - empty:1")
    reached = Host(HostConfig.model_validate(by_tcp(host)))
    daemon = parse_daemon(reached.ask("/info"), reached.ask("/version"))
    alone = ask_in_container(reached, daemon, ["empty:1"])
    assert (alone.way, alone.refusal) == ("", NO_IMAGE)
    followed = ask_in_container(reached, daemon, ["empty:1", "busybox:1"])
    assert (followed.way, followed.refusal, GPU[2] in followed.sections["gpus"]) == ("cdi", "", True)
    assert host.docker("ps", "-aq") == ""
    reached.close()
    host.docker("rmi", "empty:1")


PAIR_AND_ONE = "\tGPU0\tGPU1\tGPU2\nGPU0\t X \tNV4\tSYS\nGPU1\tNV4\t X \tSYS\nGPU2\tSYS\tSYS\t X \n"


def test_a_host_tells_which_of_its_gpus_links_join(sights: SightsOf, hosts: HostsOf) -> None:
    (host,) = hosts(HOOK)
    assert {device.island for device in one(sights(by_ssh(host))).devices} == {""}
    host.sh("tee", "/etc/testbed/gpu-topo", given=PAIR_AND_ONE.encode())
    assert [device.island for device in one(sights(by_ssh(host))).devices] == ["nvlink-0", "nvlink-0", ""]
    host.sh("rm", "/etc/testbed/gpu-topo")


def test_this_machine_tells_its_gpus_by_nvidias_library(tmp_path: Path) -> None:
    gpus.write_gpus("h100x1+l4x1", tmp_path)
    assert told(PRINT_NVML, LD_LIBRARY_PATH=str(gpus.nvml()), TESTBED_GPUS=str(tmp_path / gpus.GPUS_D)) == [
        f"0, {GPU[0]}, NVIDIA H100 80GB HBM3, {81559 * MIB}, 9.0",
        f"1, {GPU[1]}, NVIDIA L4, {23034 * MIB}, 8.9",
        "{}",
    ]
    gpus.write_gpus("h100x3", tmp_path)
    (tmp_path / gpus.GPUS_D).with_name("gpu-topo").write_text(PAIR_AND_ONE)
    *_, joined = told(PRINT_NVML, LD_LIBRARY_PATH=str(gpus.nvml()), TESTBED_GPUS=str(tmp_path / gpus.GPUS_D))
    assert joined == "{0: 'nvlink-0', 1: 'nvlink-0'}"
    assert told(PRINT_NVML) == ["None"]


def test_a_daemon_of_this_machine_is_promised_this_machines_gpus(hosts: HostsOf, tmp_path: Path) -> None:
    (host,) = hosts("old")
    gpus.write_gpus("h100x2", tmp_path)
    label = f"{DEVICES}={write_shares([Share(GPU[0], 1000 * MIB)])}"
    run(host, "ours", "--label", f"{ID}=a", "--label", label)
    env = {"LD_LIBRARY_PATH": str(gpus.nvml()), "TESTBED_GPUS": str(tmp_path / gpus.GPUS_D), "SOCKET": str(host.socket)}
    first, second = told(PRINT_LOCAL, **env)
    free = int(second.split(", ")[1])
    assert (first, second) == (f"{GPU[0]}, {free - 1000 * MIB}, True", f"{GPU[1]}, {free}, False")


PRINT_NVML = """
from infctl_docker.nvml import read_nvml
tell = read_nvml()
for gpu in tell.gpus:
    print(gpu.index, gpu.uuid, gpu.product, gpu.memory_total, gpu.compute, sep=", ")
print(tell.islands)
"""
PRINT_LOCAL = """
import os
from infctl_docker.hosts import Host, HostConfig
from infctl_docker.inventory import look
host = Host(HostConfig(url="unix://" + os.environ["SOCKET"]))
for device in look(host, (), (), "mine").place.devices:
    print(device.uuid, device.memory_free, device.taken, sep=", ")
host.close()
"""


def told(code: str, **env: str) -> list[str]:
    """Return what a process of its own prints: a library is found when a process begins."""
    argv = [sys.executable, "-c", code]
    ran = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    return ran.stdout.splitlines()
