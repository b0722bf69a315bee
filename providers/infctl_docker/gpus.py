"""Owns what of a host's GPUs can still be promised: pure accounting over facts.

Knows no host and no connection. Memory in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from infctl.provider.values import Device
from infctl_docker.facts.machine import Memory
from infctl_docker.facts.nvidia import App, Gpu, Slice, SliceMemory
from infctl_docker.promises import Promise, promised

# The part of a device's memory that somebody else may use before it can no longer be promised whole. A driver and a
# desktop hold a little of an idle device; vLLM takes nine tenths of what there is (vLLM, gpu_memory_utilization).
LITTLE = 0.1
ALL = frozenset({"all"})
DEVICE_NODE = re.compile(r"^/dev/nvidia(\d+)$")
CDI_NAME = re.compile(r"^nvidia\.com/gpu=(.+)$")


@dataclass(frozen=True, slots=True)
class Tell:
    """What a host tells of its GPUs. `owners` is the container each process runs in, by pid, `islands` the fast links'
    group of each GPU, by index ("" where it is not there). `access` is how devices are given to a container: "nvidia"
    (a runtime or hook), "cdi" (by the names in `cdi`), "amd" (device nodes), or "" where there is no way. `doors` is
    the group of each of AMD's device nodes. `said` is what the tools said, for doctor.
    """

    gpus: tuple[Gpu, ...] = ()
    slices: tuple[Slice, ...] = ()
    slice_memory: Mapping[tuple[int, int], SliceMemory] | None = None
    apps: tuple[App, ...] = ()
    owners: Mapping[int, str] | None = None
    islands: Mapping[int, str] | None = None
    access: str = ""
    cdi: tuple[str, ...] = ()
    said: str = ""
    doors: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A device that can be promised, before anything is subtracted: a GPU, or a slice of one."""

    gpu: Gpu
    uuid: str
    product: str
    total: int
    used: int
    usable: int
    parent: str = ""


class Counted(NamedTuple):
    """A device, and how many of its bytes all replicas of infctl together may be promised."""

    device: Device
    room: int


def count_devices(
    tell: Tell,
    promises: Sequence[Promise],
    claimed: Collection[str],
    reserved: Collection[str | int] = (),
    memory: Memory | None = None,
) -> tuple[Counted, ...]:
    """Return the devices of a host and what of each can still be promised.

    `claimed` are the uuids that strangers' running containers asked for by name, `reserved` the indices and uuids that
    nobody of us may have, `memory` the host's, for GPUs that have none of their own.
    """
    left_out = {str(one) for one in reserved}
    parts = [part for part in _parts(tell, memory) if not left_out & {str(part.gpu.index), part.uuid, part.gpu.uuid}]
    return tuple(_count(part, tell, promises, claimed) for part in parts)


def claims(inspected: Iterable[Mapping[str, Any]], tell: Tell) -> frozenset[str]:
    """Return the uuids of the devices that strangers' containers asked for, from what inspect says of each.

    One that asks for all devices says nothing of which it uses (a monitor does so): of it counts what it uses.
    """
    wanted = {name for one in inspected for name in _asked(one)} - ALL
    found: set[str] = set()
    for gpu in tell.gpus:
        if {str(gpu.index), gpu.uuid} & wanted:
            found.add(gpu.uuid)
    for part in tell.slices:
        if {part.uuid, f"{part.gpu}:{part.number}"} & wanted or part.parent in found:
            found.add(part.uuid)
    return frozenset(found)


def _asked(inspected: Mapping[str, Any]) -> Iterator[str]:
    """Yield the devices a container asked for, by index, uuid or "all", in any of the ways there are."""
    host = inspected.get("HostConfig") or {}
    for request in host.get("DeviceRequests") or ():
        names = request.get("DeviceIDs") or ()
        yield from (named[1] if (named := CDI_NAME.match(name)) else name for name in names)
        count = request.get("Count", 0)
        if not names and _is_gpu(request):
            yield from ("all",) if count < 0 else (str(index) for index in range(count))  # as dockerd counts them out
    for device in host.get("Devices") or ():
        if node := DEVICE_NODE.match(device.get("PathOnHost", "")):
            yield node[1]
    if host.get("Runtime") == "nvidia":
        env = dict(word.split("=", 1) for word in inspected["Config"].get("Env") or () if "=" in word)
        yield from (
            name for name in env.get("NVIDIA_VISIBLE_DEVICES", "").split(",") if name not in {"", "void", "none"}
        )


def _is_gpu(request: Mapping[str, Any]) -> bool:
    return request.get("Driver") == "nvidia" or any("gpu" in group for group in request.get("Capabilities") or ())


def _parts(tell: Tell, memory: Memory | None) -> Iterator[Part]:
    """Yield the devices that can be given to containers: a GPU in MIG mode is no device, its slices are."""
    for gpu in tell.gpus:
        slices = [part for part in tell.slices if part.parent == gpu.uuid]
        if slices or gpu.mig:
            yield from (_slice(gpu, part, (tell.slice_memory or {}).get((part.gpu, part.number))) for part in slices)
        elif gpu.shared and memory:
            yield Part(gpu, gpu.uuid, gpu.product, memory.total, 0, memory.available)
        else:
            # What the driver keeps for itself is in neither figure, so the two make what can be used at all.
            usable = min(gpu.memory_total, gpu.memory_used + gpu.memory_free)
            yield Part(gpu, gpu.uuid, gpu.product, gpu.memory_total, gpu.memory_used, usable)


def _slice(gpu: Gpu, part: Slice, memory: SliceMemory | None) -> Part:
    total, used = (memory.total, memory.used) if memory else (part.least_memory, 0)
    return Part(gpu, part.uuid, f"{gpu.product} MIG {part.profile}", total, used, total, gpu.uuid)


def _count(part: Part, tell: Tell, promises: Sequence[Promise], claimed: Collection[str]) -> Counted:
    ours = promised(promises, part.uuid, part.usable)
    others = _used_by_others(part, tell, promises, ours)
    asked = part.uuid in claimed
    room = max(ours, 0 if asked else part.usable - others)  # what we hold stays ours, whoever came after
    taken = asked or ours > 0 or others > part.total * LITTLE or _has_stranger(part, tell, promises)
    gpu = part.gpu
    island = (tell.islands or {}).get(gpu.index, "")
    device = Device(
        gpu.index, part.uuid, part.product, part.total, room - ours, taken, part.parent, gpu.compute, island
    )
    return Counted(device, room)


def _used_by_others(part: Part, tell: Tell, promises: Sequence[Promise], ours: int) -> int:
    """Return the bytes that others use: all that is in use, less what our own processes are seen to use.

    Where it is not told whose it is (a slice's processes, a process' container or memory), what we were promised is
    taken to be ours.
    """
    owners = tell.owners or {}
    apps = [app for app in tell.apps if app.device == part.uuid]
    holders = {one.container for one in promises if any(share.device == part.uuid for share in one.shares)}
    mine = [app.memory for app in apps if owners.get(app.pid) in holders]
    untold = None in mine or any(app.pid not in owners for app in apps) or (part.parent and not apps)
    return max(0, part.used - (ours if untold else sum(memory for memory in mine if memory is not None)))


def _has_stranger(part: Part, tell: Tell, promises: Sequence[Promise]) -> bool:
    """Return whether a process that is not ours runs on a device."""
    known = {one.container for one in promises}
    owners = tell.owners or {}
    return any(app.device == part.uuid and owners.get(app.pid, "") not in known for app in tell.apps)
