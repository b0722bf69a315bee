"""What can be done to a host of the bed, and that it is undone again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest

from tests.testbed.bed import BEDS, Bed
from tests.testbed.hosts import DockerHost, Make
from tests.testbed.plugin import HostsOf, need_testbed

pytestmark = pytest.mark.xdist_group("testbed")


def over_ssh(host: DockerHost, *command: str, user: str = "root", port: int = 22) -> str:
    """Return what a command printed, or what ssh said of why not."""
    config = str(host.bed.home / ".ssh" / "config")
    options = ["-F", config, "-p", str(port), "-o", "BatchMode=yes", "-o", "ConnectTimeout=2"]
    argv = ["ssh", *options, f"{user}@{host.address}", *command]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout + done.stderr


def seconds_to_connect(host: DockerHost) -> float:
    began = time.monotonic()
    socket.create_connection((host.address, 22), 5).close()
    return time.monotonic() - began


def test_a_partition_cuts_off_and_heals(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.partition()
    with pytest.raises(OSError, match=r"No route to host|timed out"):
        socket.create_connection((host.address, 22), 1)
    host.heal()
    assert over_ssh(host, "hostname").strip() == host.name


def test_a_delayed_host_answers_later_and_passes_much(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.delay(50)
    assert 0.1 <= seconds_to_connect(host) < 1
    assert len(over_ssh(host, "head", "-c", "3000000", "/dev/zero")) == 3_000_000
    host.heal()
    assert seconds_to_connect(host) < 0.1


def test_a_swallowing_host_lets_connections_hang(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.swallow()
    with pytest.raises(TimeoutError):
        socket.create_connection((host.address, 22), 1)


def test_a_frozen_daemon_accepts_and_says_nothing(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.freeze("dockerd")
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(1)
        link.connect(str(host.socket))
        link.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")
        with pytest.raises(TimeoutError):
            link.recv(1)


def test_dockerd_stops_and_starts_alone(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.stop("dockerd")
    assert "Cannot connect to the Docker daemon" in over_ssh(host, "docker", "ps")
    host.start("dockerd")
    assert "CONTAINER ID" in over_ssh(host, "docker", "ps")


def test_a_full_disk_is_full_until_it_is_healed(hosts: HostsOf) -> None:
    (host,) = hosts(Make("old", disk_mb=40))
    host.fill_disk()
    assert "no space left on device" in host.docker("run", "--rm", "busybox:1", "true", check=False)
    host.heal()
    host.docker("run", "--rm", "busybox:1", "true")


def test_another_host_key_is_refused_until_it_is_known(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.change_host_key()
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in over_ssh(host, "true")
    (host,) = hosts("old")
    assert over_ssh(host, "hostname").strip() == host.name


def test_another_ssh_port_and_a_crowded_host_is_made_anew(hosts: HostsOf) -> None:
    (host,) = hosts(Make("old", ssh_port=2022))
    assert over_ssh(host, "hostname", port=2022).strip() == host.name
    host.sh("sh", "-c", "for n in $(seq 12); do docker create --name crowd$n busybox:1; done")
    (again,) = hosts(Make("old", ssh_port=2022))
    assert again.docker("ps", "-aq") == ""
    assert over_ssh(again, "hostname", port=2022).strip() == host.name


def test_users_may_use_docker_or_not_or_are_unknown(hosts: HostsOf) -> None:
    (host,) = hosts("old")
    assert "CONTAINER ID" in over_ssh(host, "docker", "ps", user="deploy")
    assert "permission denied" in over_ssh(host, "docker", "ps", user="guest").lower()
    assert "Permission denied (publickey" in over_ssh(host, "docker", "ps", user="nobody-here")


def test_dockerd_listens_on_tcp_for_who_shows_a_certificate(
    hosts: HostsOf, bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # to requests it counts more than what it is told
        monkeypatch.delenv(name, raising=False)
    (host,) = hosts(Make("current", tcp="tls"))
    certs = {name: str(bed.authority.folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    tls = docker.tls.TLSConfig(client_cert=(certs["cert"], certs["key"]), ca_cert=certs["ca"], verify=True)
    client = docker.APIClient(base_url=host.tcp_url, tls=tls, version="auto")
    assert client.info()["Name"] == host.name
    client.close()


def test_a_killed_owner_leaves_nothing_running(tmp_path: Path) -> None:
    need_testbed()
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.testbed", "old"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert owner.stdout
    told = ""
    while not told.rstrip().endswith("]\n}"):
        told += owner.stdout.readline()
    (host,) = json.loads(told)["hosts"]
    folder = Path(host["socket"]).parent
    os.kill(owner.pid, signal.SIGKILL)
    owner.communicate()
    until = time.monotonic() + 5
    while named(folder) or f"ibed{folder.name}:" in Path("/proc/net/dev").read_text():
        assert time.monotonic() < until, "the host outlived its owner"
        time.sleep(0.05)
    assert str(BEDS) not in Path("/proc/mounts").read_text()
    Bed().close()
    assert not folder.exists()


def named(folder: Path) -> list[str]:
    """Return the processes that have a folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] if f"{folder}/" in path.read_text() else []
        except OSError:
            continue
    return found
