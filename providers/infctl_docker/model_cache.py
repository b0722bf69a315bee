"""Owns what `infctl doctor` says of the models and caches that lie on a host: how much, and whether anybody uses them.

They outlive their replicas on purpose: nothing here removes any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infctl.provider.protocol import Finding
from infctl_docker.hosts import Host
from infctl_docker.lower import MODELS_VOLUME

CACHES = ("infctl-cache-", MODELS_VOLUME)
GIB = 1 << 30
LARGE = 1 << 30  # bytes that are worth a word of how to be rid of them
SECONDS = 120.0  # a daemon walks through its volumes to tell their sizes


def check_caches(host: Host) -> tuple[Finding, ...]:
    """Return a line for each volume of infctl's on a host. Raises HostDown, DaemonError."""
    told: Mapping[str, Any] = host.ask("/system/df?type=volume", SECONDS)
    return tuple(judge_volumes(host.name, told.get("Volumes") or ()))


def judge_volumes(place: str, volumes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what GET /system/df says of our volumes: sizes in bytes (-1: not known), and containers that use them."""
    for volume in sorted(volumes, key=lambda one: str(one["Name"])):
        name, usage = str(volume["Name"]), volume.get("UsageData") or {}
        size, users = int(usage.get("Size", -1)), int(usage.get("RefCount", -1))
        if not name.startswith(CACHES):
            continue
        used = "used by nobody" if users == 0 else f"used by {users} container{'s' * (users != 1)}"
        much = "of unknown size" if size < 0 else f"{size / GIB:.1f} GiB"
        idle = users == 0 and size >= LARGE
        way = f" (there, `docker volume rm {name}` frees them)" if idle else ""
        yield Finding(f"{place}: volume {name}", ok=True, detail=f"{much}, {used}{way}")
