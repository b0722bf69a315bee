"""Owns what Docker Engine says of itself in GET /info and GET /version, from 20.10 (API 1.41) on.

Pure. Fields that an older daemon does not have read as empty. Memory in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

FRACTION = re.compile(r"\.(\d{6})\d*")  # Go prints nanoseconds, datetime reads microseconds


class Daemon(NamedTuple):
    """A daemon: `cdi` are the device names it knows itself ("nvidia.com/gpu=0"; API 1.50 and later say them),
    `cdi_enabled` whether it takes such names at all. `clock` is its own, in seconds since 1970. `limits` is whether
    it can hold containers to memory limits.
    """

    name: str
    version: str
    api: str
    min_api: str
    os: str
    arch: str
    kernel: str
    cpus: int
    memory: int
    root: str
    storage: str
    cgroup: str
    rootless: bool
    limits: bool
    runtimes: tuple[str, ...]
    default_runtime: str
    cdi_enabled: bool
    cdi: tuple[str, ...]
    clock: float
    warnings: tuple[str, ...]


def parse_daemon(info: Mapping[str, Any], version: Mapping[str, Any]) -> Daemon:
    """Return what the two answers say together."""
    discovered = info.get("DiscoveredDevices") or ()
    return Daemon(
        name=str(info.get("Name", "")),
        version=str(version.get("Version") or info.get("ServerVersion", "")),
        api=str(version.get("ApiVersion", "")),
        min_api=str(version.get("MinAPIVersion", "")),
        os=str(info.get("OSType", "")),
        arch=str(info.get("Architecture", "")),
        kernel=str(info.get("KernelVersion", "")),
        cpus=int(info.get("NCPU", 0)),
        memory=int(info.get("MemTotal", 0)),
        root=str(info.get("DockerRootDir", "")),
        storage=str(info.get("Driver", "")),
        cgroup=str(info.get("CgroupVersion", "1")),
        rootless="name=rootless" in (info.get("SecurityOptions") or ()),
        limits=bool(info.get("MemoryLimit", False)),
        runtimes=tuple(sorted(info.get("Runtimes") or ())),
        default_runtime=str(info.get("DefaultRuntime", "")),
        cdi_enabled=bool(info.get("CDISpecDirs")),
        cdi=tuple(sorted(one["ID"] for one in discovered if one.get("Source") == "cdi")),
        clock=parse_time(str(info.get("SystemTime", ""))),
        warnings=tuple(info.get("Warnings") or ()),
    )


def parse_time(text: str) -> float:
    """Return seconds since 1970 of a time as the daemon prints it; 0.0 where there is none."""
    try:
        read = datetime.fromisoformat(FRACTION.sub(r".\1", text))
    except ValueError:
        return 0.0
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def parse_taken(stats: Mapping[str, Any]) -> int:
    """Return the bytes that only a container's processes have, from GET /containers/ID/stats: its anonymous pages.

    Pages of files are left out: the system counts them as available.
    """
    counted = (stats.get("memory_stats") or {}).get("stats") or {}
    return int(counted.get("anon", counted.get("total_rss", 0)))  # cgroup version 2, version 1
