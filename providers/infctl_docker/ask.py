"""Owns asking a host about its GPUs and memory: by a command where it has a shell, else by the same in a container.

A container that asks is given every GPU and none of the host but its processes' names; it is removed at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from infctl_docker.errors import DaemonError
from infctl_docker.facts.daemon import Daemon
from infctl_docker.facts.nvidia import parse_gpus
from infctl_docker.facts.script import SCRIPT, split_answer
from infctl_docker.facts.trouble import read_trouble
from infctl_docker.hosts import Host
from infctl_docker.promises import LEASE, read_promise

SECONDS = 90  # the whole script: each of its tools has 20
ASKING = "infctl.asks"  # the label of a container that asks, so that a killed run's can be told and removed
MOST_IMAGES = 6
NO_IMAGE = "no image on the host can run nvidia-smi"
WAYS: Mapping[str, dict[str, Any]] = {
    "nvidia": {"count": -1, "capabilities": [["gpu", "utility"]]},
    "cdi": {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"]},
}


class Said(NamedTuple):
    """What a host said, by section, and the way by which a container was given its GPUs ("" for none).

    `refusal` is what the daemon said when it gave none.
    """

    sections: Mapping[str, str]
    way: str = ""
    refusal: str = ""


def ask_by_shell(host: Host, *, nvidia: bool) -> Said:
    """Run the script on the host. What does not come back whole (a shell that allows only Docker) counts as nothing."""
    ran = host.run(("/bin/sh", "-c", SCRIPT, "infctl", "with-nvidia" if nvidia else "without-nvidia"), SECONDS)
    sections = split_answer(ran.stdout)
    return Said(sections if "end" in sections else {})


def ask_in_container(host: Host, daemon: Daemon, images: Sequence[str]) -> Said:
    """Run the script in a container of the first of `images` that can run it, given GPUs by the first way that works.

    NVIDIA's tools come into the container with the devices; they want a shell and the GNU C library there, so an
    engine's image does, and one of Alpine does not.
    """
    told, refusal = Said({}), ""
    _remove_left(host, daemon.clock)
    for way in _ways(daemon):
        for image in images[:MOST_IMAGES]:
            try:
                told = Said(_run(host, image, WAYS[way]), way)
            except DaemonError as failure:
                if read_trouble(failure.message):  # of this way, whatever the image
                    refusal = refusal or failure.message
                    break
                continue
            gpus = told.sections.get("oldgpus") or told.sections.get("gpus", "")
            if parse_gpus(gpus) or read_trouble(gpus):
                return told
    return Said(told.sections, "", refusal or NO_IMAGE)


def _ways(daemon: Daemon) -> tuple[str, ...]:
    """Return the ways to try, the likelier first: an older daemon does not say which it has."""
    if not daemon.cdi_enabled:
        return ("nvidia",)
    return ("cdi", "nvidia") if "nvidia.com/gpu=all" in daemon.cdi else ("nvidia", "cdi")


def _run(host: Host, image: str, request: dict[str, Any]) -> Mapping[str, str]:
    from docker.types import DeviceRequest  # noqa: PLC0415  -- the SDK is loaded when it is used

    api = host.api
    gpus = [DeviceRequest(**request)]
    host_config = api.create_host_config(
        network_mode="none",
        pid_mode="host",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit="256m",
        device_requests=gpus,
    )
    made = api.create_container(
        image,
        entrypoint=["/bin/sh", "-c"],
        command=[SCRIPT, "infctl", "with-nvidia"],
        user="root",
        environment={"NVIDIA_VISIBLE_DEVICES": "all"},
        labels={ASKING: "gpus", LEASE: str(2 * SECONDS)},
        host_config=host_config,
    )["Id"]
    try:
        api.start(made)
        api.wait(made, timeout=SECONDS)
        return split_answer(api.logs(made, stdout=True, stderr=False).decode(errors="replace"))
    finally:
        with suppress(DaemonError):  # a second run of us may just have taken it for left
            api.remove_container(made, force=True, v=True)


def _remove_left(host: Host, clock: float) -> None:
    """Remove the containers with which a run that was killed asked; one that may still be asking is let be."""
    listed = host.api.containers(all=True, filters={"label": ASKING})
    for left in map(read_promise, listed):
        if left.expired(clock):
            with suppress(DaemonError):
                host.api.remove_container(left.container, force=True, v=True)
