"""Owns reading this machine: its memory and processors, and what `infctl doctor` should know of it.

Reads only. Knows nothing of the objects that run here.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from infctl.provider.protocol import Finding
from infctl.provider.values import Place
from infctl_local.facts import free_under_limit
from infctl_local.kinds import NAME_LIMIT
from infctl_local.launch import DISTRIBUTION, HOST
from infctl_local.ports import Range, is_free
from infctl_local.routes import SOCKET, SOCKET_PATH_LIMIT

CGROUP = Path("/sys/fs/cgroup")
LITTLE_DISK = 1_000_000_000  # bytes: logs of a few replicas (30 MB each at most) and a small model
LITTLE_MEMORY = 1_000_000_000
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Promise:
    """Memory promised to a replica that runs, in bytes, and the process that takes it (None: between two starts)."""

    memory: int
    pid: int | None

    @property
    def outstanding(self) -> int:
        """What it was promised and has not taken. Weights that are mapped count as not taken: the system
        counts their pages as available, but a replica that loses them answers slowly.
        """
        return max(0, self.memory - (_own_memory(self.pid) if self.pid else 0))


def read_machine(name: str, cap: int | None, promises: Collection[Promise]) -> Place:
    """Return this machine as a place. `cap` is the most memory, in bytes, that replicas may be promised together;
    the free memory is the least that any limit leaves, less what was promised and is not taken yet.
    """
    memory = psutil.virtual_memory()
    free = [int(memory.available)]
    if (limited := _free_in_cgroup()) is not None:
        free.append(limited)
    left = min(free) - sum(promise.outstanding for promise in promises)
    if cap is not None:
        left = min(left, cap - sum(promise.memory for promise in promises))
    return Place(name, _cpus(), min(memory.total, cap or memory.total), max(0, left))


def check_machine(data: Path, ports: Range, memory_free: int) -> tuple[Finding, ...]:
    """Return what may keep models from running here, and what mends it."""
    return (
        _check_folder(data),
        _check_engine(),
        Finding(
            "memory",
            memory_free >= LITTLE_MEMORY,
            f"{memory_free / GIB:.1f} GiB free",
            "" if memory_free >= LITTLE_MEMORY else "end something large, or serve smaller models",
        ),
        _check_disk(data),
        _check_ports(ports),
        _check_socket(data),
    )


def _own_memory(pid: int) -> int:
    """Return the bytes that only this process has: resident, less what it shares or has mapped from files."""
    try:
        memory = psutil.Process(pid).memory_info()
    except psutil.NoSuchProcess:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _free_in_cgroup() -> int | None:
    try:
        own = Path("/proc/self/cgroup").read_text("ascii").splitlines()
        folder = CGROUP / next(line[4:] for line in own if line.startswith("0::/"))
        names = ("memory.max", "memory.current", "memory.stat")
        return free_under_limit(*((folder / name).read_text("ascii") for name in names))
    except (OSError, StopIteration):
        return None  # not Linux, no version 2 control group, or the root group, which has no limit


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count() or 1


def _existing(path: Path) -> Path:
    """Return the folder itself, or the nearest one above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _check_folder(data: Path) -> Finding:
    folder = _existing(data)
    ok = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    return Finding(
        "data folder", ok, str(folder.absolute()), "" if ok else "make it writable for the user that runs infctl"
    )


def _check_engine() -> Finding:
    if importlib.util.find_spec(DISTRIBUTION) is None:
        return Finding("engine llama.cpp", ok=False, detail="not installed", hint="run: pip install xllamacpp")
    try:
        import xllamacpp  # noqa: F401, PLC0415  -- a wheel for another machine fails only when it is loaded
    except ImportError as failure:
        return Finding(
            "engine llama.cpp", ok=False, detail=str(failure), hint="run: pip install --force-reinstall xllamacpp"
        )
    return Finding("engine llama.cpp", ok=True, detail=f"{DISTRIBUTION} {version(DISTRIBUTION)}")


def _check_disk(data: Path) -> Finding:
    free = shutil.disk_usage(_existing(data)).free
    ok = free >= LITTLE_DISK
    return Finding("disk", ok, f"{free / GIB:.1f} GiB free", "" if ok else "free some space: logs and state need it")


def _check_ports(ports: Range) -> Finding:
    first, last = ports
    free = next((port for port in range(first, last + 1) if is_free(HOST, port)), None)
    if free is None:
        hint = "give the target another range: ports: [FIRST, LAST]"
        return Finding("ports", ok=False, detail=f"none of {first}-{last} is free", hint=hint)
    return Finding("ports", ok=True, detail=f"{first}-{last}")


def _check_socket(data: Path) -> Finding:
    longest = data.absolute() / "run" / ("x" * (NAME_LIMIT + len(".0123456789ab"))) / SOCKET
    short = len(bytes(longest)) <= SOCKET_PATH_LIMIT
    return Finding(
        "relay's socket", ok=True, detail="in the data folder" if short else "in /tmp: the folder's path is long"
    )
