"""What a host's answers say of its GPUs together, and how containers there are given them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infctl_docker.ask import Said
from infctl_docker.facts.daemon import Daemon, parse_daemon
from infctl_docker.gpus import count_devices
from infctl_docker.inventory import read_tell

CARD = {"Unique ID": "0x2f", "Card Series": "MI50", "VRAM Total Memory (B)": "1000", "VRAM Total Used Memory (B)": "1"}
ROCM = json.dumps({"card1": CARD})
LISTED = 'file /etc/cdi/nvidia.yaml\nname: "0"\nkind: nvidia.com/gpu'


def daemon(**info: Any) -> Daemon:
    return parse_daemon(info, {})


WITH_CDI = daemon(CDISpecDirs=["/etc/cdi"])


@pytest.mark.parametrize(
    ("of", "sections", "way"),
    [
        (daemon(Runtimes={"nvidia": {}, "runc": {}}), {}, "nvidia"),
        (daemon(), {"hooks": "nvidia-ctk\nnvidia-container-runtime-hook"}, "nvidia"),
        (daemon(), {"hooks": "nvidia-ctk"}, ""),
        (WITH_CDI, {"cdi": LISTED}, "cdi"),
        (WITH_CDI, {"cdi": LISTED.replace("nvidia.com", "vendor.com")}, ""),
        (daemon(), {"cdi": LISTED}, ""),
        (daemon(CDISpecDirs=["/etc/cdi"], DiscoveredDevices=[{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]), {}, "cdi"),
    ],
)
def test_the_runtime_is_used_before_cdi_and_cdi_where_the_daemon_knows_it(
    of: Daemon, sections: dict[str, str], way: str
) -> None:
    assert read_tell(Said(sections), of).access == way


def test_the_way_by_which_a_container_was_given_them_is_believed() -> None:
    assert read_tell(Said({"hooks": "nvidia-container-runtime-hook"}, "cdi"), daemon()).access == "cdi"


def test_amds_devices_are_devices_like_others() -> None:
    tell = read_tell(Said({"rocm": ROCM}), daemon())
    (counted,) = count_devices(tell, (), ())
    assert (tell.access, counted.device.uuid, counted.device.product) == ("amd", "0x2f", "MI50")
    assert (counted.device.memory_total, counted.device.memory_free, counted.device.taken) == (1000, 999, False)


def test_a_tool_that_answers_with_something_else_tells_no_gpu_and_is_kept_for_doctor() -> None:
    tell = read_tell(Said({"rocm": "{ Driver not initialized (amdgpu not found in modules)"}), daemon())
    assert (tell.gpus, "not initialized" in tell.said) == ((), True)
