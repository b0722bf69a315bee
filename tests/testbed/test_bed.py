"""The bed itself: what a test of ours may rely on."""

from __future__ import annotations

import subprocess

import pytest

from tests.testbed.bed import Bed
from tests.testbed.plugin import HostsOf

pytestmark = pytest.mark.xdist_group("docker")


def over_ssh(bed: Bed, address: str, *command: str) -> str:
    config = str(bed.home / ".ssh" / "config")
    return subprocess.run(
        ["ssh", "-F", config, address, *command], capture_output=True, text=True, check=True, timeout=20
    ).stdout


def test_two_versions_of_docker_answer_side_by_side(bed: Bed, hosts: HostsOf) -> None:
    old, new = hosts("old", "current")
    version = ("docker", "version", "--format", "{{.Server.Version}}")
    assert over_ssh(bed, old.address, *version).startswith("20.10.")
    assert int(over_ssh(bed, new.address, *version).split(".")[0]) >= 26


def test_a_power_cut_keeps_the_disk_and_the_address(bed: Bed, hosts: HostsOf) -> None:
    (host,) = hosts("old")
    host.docker("run", "-d", "--name", "again", "--restart", "unless-stopped", "busybox:1", "sleep", "900")
    host.crash()
    with pytest.raises(subprocess.CalledProcessError):
        over_ssh(bed, host.address, "true")
    host.up()
    assert over_ssh(bed, host.address, "docker", "ps", "--format", "{{.Names}}").split() == ["again"]
