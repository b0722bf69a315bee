"""What doctor says of a host: what is wrong with its GPUs and its Docker, and what mends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.provider.values import Place
from infctl_docker.ask import NO_IMAGE
from infctl_docker.doctor import check_host
from infctl_docker.facts.daemon import parse_daemon
from infctl_docker.facts.machine import Disk
from infctl_docker.facts.nvidia import Gpu
from infctl_docker.gpus import Tell
from infctl_docker.inventory import Sight

H100 = Gpu(0, "GPU-a", "NVIDIA H100 PCIe", 81_559, 0, 81_559, "570.124.06")
DAEMON = parse_daemon({"MemoryLimit": True}, {"Version": "28.5.2", "ApiVersion": "1.51"})
WELL = Sight(Place("h1", 8, 1, 1), DAEMON, Tell((H100, H100), access="nvidia"), {}, Disk("d", 1 << 40, 1 << 39, "/"))


def wrong(sight: Sight, *reserve: str | int) -> list[tuple[str, str, str]]:
    return [(one.what, one.detail, one.hint) for one in check_host(sight, reserve) if not one.ok]


def told(**tell: Any) -> Sight:
    return replace(WELL, tell=replace(WELL.tell, **tell))


def test_a_host_that_is_well_says_what_it_has() -> None:
    assert [(one.what, one.detail) for one in check_host(WELL, [0])] == [
        ("h1: GPUs", "2x NVIDIA H100 PCIe, driver 570.124.06"),
        ("h1: GPUs in containers", "by NVIDIA's runtime"),
        ("h1: Docker", "28.5.2, API 1.51"),
        ("h1: disk", "512.0 GiB free for images and models (/)"),
    ]
    assert wrong(WELL, 0) == []


def test_a_host_without_gpus_is_well() -> None:
    refused = 'could not select device driver "" with capabilities: [[gpu utility]]'
    assert wrong(replace(WELL, tell=Tell())) == wrong(replace(WELL, tell=Tell(said=refused))) == []


def test_a_host_that_nothing_can_ask_is_wrong_only_where_it_seems_to_have_gpus() -> None:
    silent = replace(WELL, tell=Tell(said=NO_IMAGE))
    assert wrong(silent) == []
    ((_, _, hint),) = wrong(replace(silent, daemon=DAEMON._replace(runtimes=("nvidia",))))
    assert "ssh://" in hint


@pytest.mark.parametrize(
    ("sight", "what", "detail", "hint"),
    [
        (replace(WELL, tell=Tell(said="No devices were found")), "GPUs", "finds no GPU", "lspci"),
        (told(access=""), "GPUs in containers", "no way", "nvidia-container-toolkit"),
        (told(said="Unable to determine the device handle for GPU 0000:0B:00.0"), "GPU driver", "answer", "reboot"),
        (told(gpus=(replace(H100, mig=True),)), "GPU 0", "without a slice", "-cgi"),
        (told(gpus=(replace(H100, memory_total=0),)), "GPU 0", "its memory", "reset"),
        (replace(WELL, daemon=DAEMON._replace(limits=False)), "memory limits", "cannot hold", "cgroups"),
        (replace(WELL, disk=Disk("d", 100, 100, "/var")), "disk", "0.0 GiB free", "docker system df"),
    ],
)
def test_what_is_wrong_is_said_with_what_mends_it(sight: Sight, what: str, detail: str, hint: str) -> None:
    ((found, said, way_on),) = wrong(sight)
    assert found == f"h1: {what}"
    assert detail in said
    assert hint in way_on


def test_a_reserved_device_that_is_not_there_is_named() -> None:
    ((what, detail, _),) = wrong(WELL, "GPU-a", 7)
    assert (what, detail) == ("h1: gpu_reserve", "7 is no device of this host")


def test_rootless_docker_is_told_what_its_gpus_need() -> None:
    rootless = replace(WELL, daemon=DAEMON._replace(rootless=True))
    assert any("no-cgroups" in one.detail for one in check_host(rootless, ()))
