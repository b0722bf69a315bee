"""Owns what the sentences mean with which a GPU's tools fail, and what mends each.

Pure. The sentences are nvidia-smi's, libnvidia-container's and dockerd's own, as users met them.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Trouble(NamedTuple):
    """Why the GPUs of a host cannot be told or used: a phrase, the tool's own line, and what mends it."""

    what: str
    said: str
    hint: str


KNOWN: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), what, hint)
    for pattern, what, hint in (
        (
            r"driver/library version mismatch",
            "the driver was upgraded and its kernel module was not",
            "reboot the host, or unload and load the nvidia kernel modules",
        ),
        (
            r"couldn't communicate with the NVIDIA driver|nvml error: driver not loaded|driver not loaded",
            "the NVIDIA kernel module is not loaded",
            "load it (modprobe nvidia); after a kernel upgrade the driver may have to be built again",
        ),
        (r"No devices were found", "the driver finds no GPU", "look for the device: lspci | grep -i nvidia"),
        (
            r"GPU is lost|fallen off the bus|GPU requires reset",
            "a GPU is lost",
            "reset it (nvidia-smi --gpu-reset) or reboot the host; dmesg names the Xid",
        ),
        (
            r"Unable to determine the device handle",
            "a GPU does not answer",
            "leave it out with gpu_reserve, or reboot the host; dmesg names the Xid",
        ),
        (
            r"Failed to initialize NVML: Unknown Error",
            "the container lost its access to the GPUs",
            "start it again; with cgroup driver systemd, `systemctl daemon-reload` takes devices away from containers",
        ),
        (
            r"(Failed to initialize NVML|nvml error): insufficient permissions",
            "this user may not ask the NVIDIA driver",
            "give the user access to /dev/nvidiactl and /dev/nvidia*",
        ),
        (
            r"access blocked by the operating system",
            "the operating system keeps the GPU from this system",
            "upgrade the driver of the machine around it",
        ),
        (
            r"couldn't find libnvidia-ml",
            "the NVIDIA driver's libraries are not installed",
            "install the driver's user-space libraries of the same version as its kernel module",
        ),
        (
            r"could not select device driver",
            "Docker has no way to give GPUs to containers",
            "install nvidia-container-toolkit there, run `nvidia-ctk runtime configure`, and restart Docker",
        ),
        (
            r"unresolvable CDI devices?|CDI device injection failed|failed to inject CDI devices",
            "Docker does not know the device by its CDI name",
            "write the list of devices anew: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
        ),
        (
            r"Driver not initialized|amdgpu not found in modules|AMDSMI_STATUS_(DRIVER_NOT_LOADED|NOT_INIT)",
            "the amdgpu kernel module is not loaded",
            "load it (modprobe amdgpu), or install AMD's driver of this kernel",
        ),
        (
            r"no image on the host can run nvidia-smi",
            "without a shell, a container must ask for the GPUs, and no image there can run it",
            "pull one there that has the GNU C library (docker pull debian:stable-slim), or reach the host by ssh://",
        ),
        (r"unknown device|device error", "the host has no such GPU", "run `infctl plan` again: the devices changed"),
        (r"failed to initialize NVML|nvml error", "the NVIDIA driver's library does not start", "run nvidia-smi there"),
    )
)


def read_trouble(text: str) -> Trouble | None:
    """Return what `text` complains of, or None where no line of it is a known complaint."""
    lines = text.splitlines()
    for pattern, what, hint in KNOWN:
        said = next((line.strip() for line in lines if pattern.search(line)), "")
        if said:
            return Trouble(what, said, hint)
    return None
