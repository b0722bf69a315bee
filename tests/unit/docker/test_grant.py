"""How a container is given its devices and no other, by whichever way a host has."""

from __future__ import annotations

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Share
from infctl_docker.facts.nvidia import Gpu, Slice
from infctl_docker.gpus import Tell
from infctl_docker.grant import grant

GPUS = (Gpu(0, "GPU-a", "x", 1, 0, 1), Gpu(1, "GPU-b", "x", 1, 0, 1))


def names(tell: Tell, *devices: str) -> list[str]:
    (request,) = grant("h1", tell, [Share(device) for device in devices])["DeviceRequests"]
    assert request["Driver"] == tell.access
    found: list[str] = request["DeviceIDs"]
    return found


def test_nvidias_runtime_is_asked_by_uuid() -> None:
    assert names(Tell(GPUS, access="nvidia"), "GPU-b", "MIG-c") == ["GPU-b", "MIG-c"]


@pytest.mark.parametrize(
    ("listed", "device", "name"),
    [
        (("nvidia.com/gpu=1", "nvidia.com/gpu=GPU-b"), "GPU-b", "nvidia.com/gpu=GPU-b"),
        (("nvidia.com/gpu=1",), "GPU-b", "nvidia.com/gpu=1"),
        (("nvidia.com/gpu=1:0",), "MIG-c", "nvidia.com/gpu=1:0"),
    ],
)
def test_cdi_is_asked_by_the_name_that_its_list_has(listed: tuple[str, ...], device: str, name: str) -> None:
    tell = Tell(GPUS, (Slice(1, "GPU-b", 0, "1g.10gb", "MIG-c"),), access="cdi", cdi=listed)
    assert names(tell, device) == [name]


def test_amds_devices_are_nodes() -> None:
    doors = {"/dev/kfd": 993, "/dev/dri/renderD128": 7, "/dev/dri/renderD129": 44}
    given = grant("h1", Tell(GPUS, access="amd", doors=doors), [Share("GPU-b", 5)])
    assert [one["PathOnHost"] for one in given["Devices"]] == ["/dev/kfd", "/dev/dri/renderD129"]
    assert given["GroupAdd"] == ["44", "993"]


def test_who_is_promised_nothing_is_given_nothing() -> None:
    assert grant("h1", Tell(), ()) == {}


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (Tell(GPUS), "no way to give GPUs"),
        (Tell(GPUS, access="cdi"), "does not name GPU-b"),
        (Tell(access="amd"), "has no device GPU-b"),
    ],
)
def test_what_cannot_be_given_is_said(tell: Tell, said: str) -> None:
    with pytest.raises(ProviderError, match=said):
        grant("h1", tell, [Share("GPU-b")])
