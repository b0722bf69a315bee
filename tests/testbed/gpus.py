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


def write_gpus(wanted: str, etc: Path) -> tuple[str, ...]:
    """Write the files of `wanted` ("h100x8", or "h100x2+l4x1") below an /etc; returns the GPUs' uuids."""
    folder = etc / GPUS_D
    folder.mkdir(parents=True, exist_ok=True)
    products = [PRODUCTS[name] for name, many in re.findall(r"([\w-]+)x(\d+)", wanted) for _ in range(int(many))]
    uuids = tuple(uuid_of(number) for number in range(len(products)))
    for number, (product, uuid) in enumerate(zip(products, uuids, strict=True)):
        line = f"{product.name}, {uuid}, {product.memory}, 0, 0, {product.compute}\n"
        (folder / f"{number:02}").write_text(line)
    return uuids


def uuid_of(number: int) -> str:
    return f"GPU-{number:08x}-1111-4222-8333-444444444444"


def write_cdi(uuids: tuple[str, ...], etc: Path) -> None:
    """Write the CDI specification of the GPUs (CNCF, Container Device Interface 0.6) below an /etc."""
    names = {**{str(n): [n] for n in range(len(uuids))}, **{uuid: [n] for n, uuid in enumerate(uuids)}}
    devices = [
        {"name": name, "containerEdits": {"mounts": [_mount(f"/etc/{GPUS_D}/{n:02}") for n in numbers]}}
        for name, numbers in {**names, "all": list(range(len(uuids)))}.items()
    ]
    library = "/usr/local/lib/libnvidia-ml.so.1"
    shared = [_mount("/usr/local/sbin/nvidia-smi", "/usr/bin/nvidia-smi")]
    shared.append(_mount(library, "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"))
    edits = {"env": ["NVIDIA_VISIBLE_DEVICES=void"], "mounts": shared}
    spec = {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": devices, "containerEdits": edits}
    (etc / "cdi").mkdir(exist_ok=True)
    (etc / "cdi" / "nvidia.json").write_text(json.dumps(spec))


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


def write_tools(tools: Path) -> None:
    """Put nvidia-smi and Docker's hook into a host's folder of commands."""
    for name in ("nvidia-smi", "nvidia-container-runtime-hook"):
        shutil.copy(HERE / "bin" / name, tools)
