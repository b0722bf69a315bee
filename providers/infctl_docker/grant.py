"""Owns how a container is given devices: the fields of Docker's HostConfig for a share, by whichever way a host has.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Share
from infctl_docker.facts.nvidia import Gpu
from infctl_docker.gpus import Tell

KFD = "/dev/kfd"  # the door to all of AMD's devices; each has a render node of its own beside it
FIRST_RENDER = 128  # the number of the first render node (Linux, drm: minors from 128 on)


def grant(host: str, tell: Tell, shares: Iterable[Share]) -> dict[str, Any]:
    """Return the fields of a HostConfig that give a container these devices and no other.

    Raises ProviderError where the host has no way to give them, or one of them is gone.
    """
    uuids = [share.device for share in shares]
    if not uuids:
        return {}
    if tell.access == "nvidia":
        return {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": uuids, "Capabilities": [["gpu"]]}]}
    if tell.access == "cdi":
        return {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": [_cdi_name(host, tell, uuid) for uuid in uuids]}]}
    if tell.access == "amd":
        nodes = [KFD, *(f"/dev/dri/renderD{FIRST_RENDER + _gpu(host, tell, uuid).index}" for uuid in uuids)]
        devices = [{"PathOnHost": node, "PathInContainer": node, "CgroupPermissions": "rwm"} for node in nodes]
        return {"Devices": devices, "GroupAdd": _groups(tell, nodes)}
    raise ProviderError(
        f"{host} has no way to give GPUs to containers",
        "its Docker has neither NVIDIA's runtime nor CDI devices",
        hint="install nvidia-container-toolkit there, run `nvidia-ctk runtime configure`, and restart Docker",
    )


def _groups(tell: Tell, nodes: Iterable[str]) -> list[str]:
    """Return the groups that the nodes are open to, by number: names would be looked up in the image's own list."""
    doors = tell.doors or {}
    return [str(group) for group in sorted({doors[node] for node in nodes if node in doors})]


def _cdi_name(host: str, tell: Tell, uuid: str) -> str:
    """Return the name that the host's CDI list has for a device: by uuid, else by index."""
    part = next((f"{one.gpu}:{one.number}" for one in tell.slices if one.uuid == uuid), "")
    for name in (uuid, part or str(_gpu(host, tell, uuid).index)):
        if f"nvidia.com/gpu={name}" in tell.cdi:
            return f"nvidia.com/gpu={name}"
    raise ProviderError(
        f"The CDI list of {host} does not name {uuid}",
        "it was written before the devices changed",
        hint="write it anew there: sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
    )


def _gpu(host: str, tell: Tell, uuid: str) -> Gpu:
    found = next((gpu for gpu in tell.gpus if gpu.uuid == uuid), None)
    if found is None:
        raise ProviderError(f"{host} has no device {uuid}", "it is gone", hint="run `infctl plan` again")
    return found
