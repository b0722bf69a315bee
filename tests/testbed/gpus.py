"""Owns GPUs that are not there: what nvidia-smi, NVML, Docker's `--gpus` and CDI find of them on a host of the bed.

The sentences that real parts fail with are the real ones; no computing is done. One file for each GPU in gpus.d.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.testbed import packages

HERE = Path(__file__).resolve().parent
GPUS_D = "testbed/gpus.d"  # below /etc


class Product(NamedTuple):
    """As its nvidia-smi names it: name, memory in MiB, compute capability."""

    name: str
    memory: int
    compute: str


PRODUCTS = {
    "h100": Product("NVIDIA H100 80GB HBM3", 81559, "9.0"),
    "h200": Product("NVIDIA H200", 143771, "9.0"),
    "a100-40": Product("NVIDIA A100-SXM4-40GB", 40960, "8.0"),
    "l4": Product("NVIDIA L4", 23034, "8.9"),
}


class Gpu(NamedTuple):
    """One of them: its uuid, the line that tells of it, and the lines that tell of it with one slice only."""

    uuid: str
    line: str
    slices: Mapping[str, str]


def write_gpus(wanted: str, etc: Path) -> tuple[Gpu, ...]:
    """Write the files of `wanted` below an /etc: "h100x8", "h100x2+l4x1", "a100-40x1:3g.20gb,2g.10gb" (cut by MIG)."""
    found = []
    for name, many, cut in re.findall(r"([\w-]+)x(\d+)(?::([\w.,]+))?", wanted):
        found += [(PRODUCTS[name], tuple(filter(None, cut.split(","))))] * int(many)
    gpus = tuple(_gpu(number, product, cut) for number, (product, cut) in enumerate(found))
    folder = etc / GPUS_D
    folder.mkdir(parents=True, exist_ok=True)
    for number, gpu in enumerate(gpus):
        (folder / f"{number:02}").write_text(f"{gpu.line}\n")
    return gpus


def _gpu(number: int, product: Product, cut: tuple[str, ...]) -> Gpu:
    whole = f"{product.name}, {uuid_of(number)}, {product.memory}, 0, 0, {product.compute}"
    parts = [f"{profile} {slice_of(number, k)} {_slice_memory(profile)}" for k, profile in enumerate(cut)]
    slices = {slice_of(number, k): f"{whole}, {part}" for k, part in enumerate(parts)}
    return Gpu(uuid_of(number), ", ".join([whole, *parts]), slices)


def uuid_of(number: int) -> str:
    return f"GPU-{number:08x}-1111-4222-8333-444444444444"


def slice_of(number: int, part: int) -> str:
    """Return the uuid of a GPU's MIG slice."""
    return f"MIG-{number:08x}-1111-5222-8333-{part:012x}"


def _slice_memory(profile: str) -> int:
    """Return MiB: an A100's 3g.20gb shows 19968, 0.975 of what its name says; taken for all."""
    return int(profile.partition(".")[2].partition("gb")[0]) * 1024 * 975 // 1000


def write_cdi(gpus: tuple[Gpu, ...], etc: Path) -> None:
    """Write the CDI specification of the GPUs (CNCF, Container Device Interface 0.6) below an /etc."""
    devices = []
    for number, gpu in enumerate(gpus):
        file = f"/etc/{GPUS_D}/{number:02}"
        if not gpu.slices:
            devices += [_device(name, _mount(file)) for name in (str(number), gpu.uuid)]
        for k, (uuid, line) in enumerate(gpu.slices.items()):
            part = etc / "testbed" / "slices" / uuid
            part.parent.mkdir(exist_ok=True)
            part.write_text(f"{line}\n")
            devices += [_device(name, _mount(f"/etc/testbed/slices/{uuid}", file)) for name in (f"{number}:{k}", uuid)]
    devices.append(_device("all", *(_mount(f"/etc/{GPUS_D}/{number:02}") for number in range(len(gpus)))))
    library = "/usr/local/lib/libnvidia-ml.so.1"
    shared = [_mount("/usr/local/sbin/nvidia-smi", "/usr/bin/nvidia-smi")]
    shared.append(_mount(library, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"))
    edits = {"env": ["NVIDIA_VISIBLE_DEVICES=void"], "mounts": shared}
    spec = {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": edits}
    (etc / "cdi").mkdir(exist_ok=True)
    (etc / "cdi" / "nvidia.json").write_text(json.dumps(spec, indent=1))


def _device(name: str, *mounts: Mapping[str, object]) -> dict[str, object]:
    return {"name": name, "containerEdits": {"mounts": mounts}}


def _mount(source: str, target: str = "") -> dict[str, object]:
    return {"hostPath": source, "containerPath": target or source, "options": ["ro", "bind"]}


def nvml() -> Path:
    """Return the folder that holds libnvidia-ml.so.1, compiled now unless it was.

    For pynvml in a process of this machine: LD_LIBRARY_PATH is this folder, TESTBED_GPUS a folder of GPUs.
    """
    source = HERE / "nvml.c"
    folder = packages.CACHE / "nvml" / hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    library = folder / "libnvidia-ml.so.1"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unready = folder / f"unready-{os.getpid()}"
        flags = ["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
        subprocess.run(["gcc", *flags, "-o", unready, source], check=True)
        unready.rename(library)
    return folder


def write_tools(tools: Path, *, hook: bool) -> None:
    """Put nvidia-smi, and Docker's hook if wished, into a host's folder of commands."""
    for name in ("nvidia-smi", *(["nvidia-container-runtime-hook"] if hook else [])):
        shutil.copy(HERE / "bin" / name, tools)
