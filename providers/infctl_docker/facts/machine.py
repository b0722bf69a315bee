"""Owns what a Linux host says of itself: /proc/meminfo, /proc/loadavg, df, /proc/PID/cgroup.

Pure. Memory and disk in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KIB = 1024
CONTAINER_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
PROCESS = re.compile(r"^pid (\d+)$")
DF_ROW = re.compile(r"^(.+?)\s+(\d+)\s+(-?\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+(/.*)$")


class Memory(NamedTuple):
    """`available` is what a new process could get without swapping."""

    total: int
    available: int


class Disk(NamedTuple):
    """One file system: `free` is what an ordinary user may still write."""

    device: str
    total: int
    free: int
    mount: str


class Load(NamedTuple):
    """Load averages over 1, 5 and 15 minutes."""

    one: float
    five: float
    fifteen: float


def parse_meminfo(text: str) -> Memory | None:
    """Return the memory in /proc/meminfo, or None where it is not that.

    Kernels before 3.14 have no MemAvailable: there it is what is free or cached, as `free` counted it.
    """
    fields = {name: int(kib) * KIB for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    if "MemTotal" not in fields:
        return None
    spare = sum(fields.get(name, 0) for name in ("MemFree", "Buffers", "Cached"))
    return Memory(fields["MemTotal"], fields.get("MemAvailable", spare))


def parse_loadavg(text: str) -> Load | None:
    numbers = text.split()[:3]
    return Load(*(float(number) for number in numbers)) if len(numbers) == len(Load._fields) else None


def parse_df(text: str) -> tuple[Disk, ...]:
    """Return the file systems in `df -Pk`, whose form POSIX fixes; lines that are no file system are passed over."""
    rows = (DF_ROW.match(line) for line in text.splitlines())
    return tuple(Disk(row[1], int(row[2]) * KIB, int(row[4]) * KIB, row[5]) for row in rows if row)


def disk_of(path: str, disks: Sequence[Disk]) -> Disk | None:
    """Return the file system that `path` is on: the one mounted nearest above it, the last where several are."""
    above = [disk for disk in disks if _within(path, disk.mount)]
    return max(reversed(above), key=lambda disk: len(disk.mount), default=None)


def parse_cgroups(text: str) -> Mapping[int, str]:
    """Return the container each process runs in ("" for none) from lines `pid N`, each followed by its cgroups.

    A container's id is in the path whichever the cgroup driver and version: /docker/ID, system.slice/docker-ID.scope.
    A process whose cgroups could not be read is not in it.
    """
    found: dict[int, str] = {}
    pid = 0
    for line in text.splitlines():
        named = CONTAINER_ID.search(line)
        if begins := PROCESS.match(line):
            pid = int(begins[1])
        elif named:
            found[pid] = named[0]
        elif line.strip():
            found.setdefault(pid, "")
    return found


def _within(path: str, mount: str) -> bool:
    return mount in {"/", path} or path.startswith(f"{mount}/")
