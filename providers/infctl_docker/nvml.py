"""Owns asking NVIDIA's own library about the GPUs of this machine: the same facts as nvidia-smi tells, without it.

The only user of pynvml, which is imported when a machine is looked at. A machine without the library has no GPUs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from infctl_docker.facts.machine import parse_cgroups
from infctl_docker.facts.nvidia import App, Gpu, Slice, SliceMemory
from infctl_docker.facts.topology import islands_of
from infctl_docker.gpus import Tell

LEAST_APART = 3  # GPUs: of two no island is smaller than the whole
NOT_TOLD = frozenset({3, 4, 13})  # NVML: not supported here, no permission, function not in this driver's library


def read_nvml() -> Tell:
    """Return the GPUs of this machine; `said` is why it tells none, "" where it does or has none."""
    import pynvml  # noqa: PLC0415  -- only a machine that is a target itself pays for it

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return Tell()
    except pynvml.NVMLError as failure:
        return Tell(said=f"Failed to initialize NVML: {failure}")
    try:
        return read_library(pynvml)
    except pynvml.NVMLError as failure:
        return Tell(said=f"NVML: {failure}")
    finally:
        pynvml.nvmlShutdown()


def read_library(nvml: Any) -> Tell:
    """Return what a library that was begun tells. Raises its NVMLError when a device is lost."""
    driver = str(nvml.nvmlSystemGetDriverVersion())
    gpus, slices, memory, apps = [], [], {}, []
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    for index, handle in enumerate(handles):
        gpu = _gpu(nvml, handle, index, driver)
        gpus.append(gpu)
        apps += _apps(nvml, handle, gpu.uuid)
        for one, used in _slices(nvml, handle, gpu) if gpu.mig else ():
            slices.append(one)
            memory[index, one.number] = used
    return Tell(tuple(gpus), tuple(slices), memory, tuple(apps), _owners(apps), _islands(nvml, handles))


def _gpu(nvml: Any, handle: Any, index: int, driver: str) -> Gpu:
    memory = _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2))
    memory = memory or _told(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))  # before driver 510
    total, used, free = (memory.total, memory.used, memory.free) if memory else (0, 0, 0)
    mig = _told(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle)[0])
    major, minor = _told(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle)) or (0, 0)
    return Gpu(
        index,
        str(nvml.nvmlDeviceGetUUID(handle)),
        str(nvml.nvmlDeviceGetName(handle)),
        int(total),
        int(used),
        int(free),
        driver,
        bool(mig),
        f"{major}.{minor}" if major else "",
        shared=not memory,
    )


def _slices(nvml: Any, handle: Any, gpu: Gpu) -> Iterator[tuple[Slice, SliceMemory]]:
    for number in range(_told(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0):
        try:
            part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except nvml.NVMLError_NotFound:
            continue
        memory = nvml.nvmlDeviceGetMemoryInfo(part)
        profile = str(nvml.nvmlDeviceGetName(part)).partition(" MIG ")[2]
        found = Slice(gpu.index, gpu.uuid, number, profile, str(nvml.nvmlDeviceGetUUID(part)))
        yield found, SliceMemory(int(memory.used), int(memory.total))


def _islands(nvml: Any, handles: Sequence[Any]) -> Mapping[int, str]:
    def is_linked(one: int, other: int) -> bool:
        asked = handles[one], handles[other], nvml.NVML_P2P_CAPS_INDEX_NVLINK
        return bool(_told(nvml, lambda: nvml.nvmlDeviceGetP2PStatus(*asked)) == nvml.NVML_P2P_STATUS_OK)

    pairs = combinations(range(len(handles)), 2) if len(handles) >= LEAST_APART else ()
    return islands_of(range(len(handles)), (pair for pair in pairs if is_linked(*pair)))


def _apps(nvml: Any, handle: Any, uuid: str) -> list[App]:
    running = _told(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
    return [App(uuid, int(one.pid), one.usedGpuMemory) for one in running]


def _owners(apps: list[App]) -> dict[int, str]:
    files = {app.pid: Path(f"/proc/{app.pid}/cgroup") for app in apps}
    told = (f"pid {pid}\n{file.read_text()}" for pid, file in files.items() if file.exists())
    return dict(parse_cgroups("\n".join(told)))


def _told(nvml: Any, ask: Callable[[], Any]) -> Any:
    """Return what `ask` gives, None where this device, driver or user is not told it."""
    try:
        return ask()
    except nvml.NVMLError as failure:
        if failure.value not in NOT_TOLD:
            raise
        return None
