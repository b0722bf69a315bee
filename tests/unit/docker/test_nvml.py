"""What is read through NVIDIA's library where a GPU is cut, old, or not told; a library of our own says it."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from infctl_docker.facts.nvidia import App, SliceMemory
from infctl_docker.nvml import read_library

MIB = 1024**2


def library(slices: tuple[int, ...] = (0, 2), versions: tuple[int, ...] = (1, 2), **changes: Any) -> SimpleNamespace:
    """Return a driver's library with one A30, cut in some of its four places; with pynvml's names and errors."""

    def part(_: str, number: int) -> str:
        if number not in slices:
            raise pynvml.NVMLError_NotFound
        return f"slice{number}"

    def memory(handle: str, version: int | None = None) -> SimpleNamespace:
        if (2 if version else 1) not in versions:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        total = 24_576 if handle == "gpu0" else 5_952
        return SimpleNamespace(total=total * MIB, used=50 * MIB, free=(total - 50 - 300 * bool(version)) * MIB)

    told = {
        "NVMLError": pynvml.NVMLError,
        "NVMLError_NotFound": pynvml.NVMLError_NotFound,
        "nvmlMemory_v2": pynvml.nvmlMemory_v2,
        "nvmlSystemGetDriverVersion": lambda: "535.274.02",
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: f"gpu{index}",
        "nvmlDeviceGetUUID": lambda handle: f"{'GPU' if handle == 'gpu0' else 'MIG'}-{handle}",
        "nvmlDeviceGetName": lambda handle: "NVIDIA A30" if handle == "gpu0" else "NVIDIA A30 MIG 1g.6gb",
        "nvmlDeviceGetMemoryInfo": memory,
        "nvmlDeviceGetMigMode": lambda _: [int(bool(slices)), 0],
        "nvmlDeviceGetMaxMigDeviceCount": lambda _: 4,
        "nvmlDeviceGetMigDeviceHandleByIndex": part,
        "nvmlDeviceGetCudaComputeCapability": lambda _: (8, 0),
        "NVML_P2P_CAPS_INDEX_NVLINK": pynvml.NVML_P2P_CAPS_INDEX_NVLINK,
        "NVML_P2P_STATUS_OK": pynvml.NVML_P2P_STATUS_OK,
        "nvmlDeviceGetComputeRunningProcesses": lambda _: [SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)],
    }
    return SimpleNamespace(**{**told, **changes})


def refuses(code: int) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise pynvml.NVMLError(code)

    return refuse


def test_a_gpu_that_is_cut_tells_its_slices_with_their_memory() -> None:
    tell = read_library(library())
    assert tell.gpus[0].mig
    assert [(part.number, part.uuid, part.profile, part.parent) for part in tell.slices] == [
        (0, "MIG-slice0", "1g.6gb", "GPU-gpu0"),
        (2, "MIG-slice2", "1g.6gb", "GPU-gpu0"),
    ]
    assert tell.slice_memory == {number: SliceMemory(50 * MIB, 5_952 * MIB) for number in ((0, 0), (0, 2))}


def test_the_drivers_own_memory_is_neither_used_nor_free_where_the_library_tells_it() -> None:
    (newer,) = read_library(library(())).gpus
    (older,) = read_library(library((), (1,))).gpus
    assert (newer.memory_used, newer.memory_free) == (50 * MIB, (24_576 - 350) * MIB)
    assert (older.memory_used, older.memory_free) == (50 * MIB, (24_576 - 50) * MIB)
    assert (newer.compute, newer.driver, newer.mig) == ("8.0", "535.274.02", False)


def test_a_process_is_told_with_what_it_runs_in() -> None:
    tell = read_library(library(()))
    assert tell.apps == (App("GPU-gpu0", os.getpid(), None),)
    assert list(tell.owners or {}) == [os.getpid()]


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_NO_PERMISSION])
def test_what_is_not_told_is_left_open(code: int) -> None:
    refusing = refuses(code)
    untold = library(
        nvmlDeviceGetMigMode=refusing,
        nvmlDeviceGetMemoryInfo=refusing,
        nvmlDeviceGetComputeRunningProcesses=refusing,
        nvmlDeviceGetCudaComputeCapability=refusing,
    )
    tell = read_library(untold)
    assert (tell.gpus[0].mig, tell.gpus[0].shared, tell.gpus[0].compute, tell.apps) == (False, True, "", ())


def test_a_gpu_that_is_lost_is_an_error_and_not_a_gpu_without_memory() -> None:
    with pytest.raises(pynvml.NVMLError):
        read_library(library(nvmlDeviceGetMemoryInfo=refuses(pynvml.NVML_ERROR_GPU_IS_LOST)))


def test_which_gpus_links_join_is_asked_pair_by_pair() -> None:
    linked = {("gpu0", "gpu1"), ("gpu2", "gpu3")}

    def status(one: str, other: str, what: int) -> Any:
        assert what == pynvml.NVML_P2P_CAPS_INDEX_NVLINK
        return pynvml.NVML_P2P_STATUS_OK if (one, other) in linked else pynvml.NVML_P2P_STATUS_NOT_SUPPORTED

    four = library((), nvmlDeviceGetCount=lambda: 4, nvmlDeviceGetP2PStatus=status)
    assert read_library(four).islands == {0: "nvlink-0", 1: "nvlink-0", 2: "nvlink-2", 3: "nvlink-2"}
    older = refuses(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    assert read_library(library((), nvmlDeviceGetCount=lambda: 4, nvmlDeviceGetP2PStatus=older)).islands == {}
