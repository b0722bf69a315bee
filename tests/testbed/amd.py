"""Owns AMD's GPUs that are not there: what rocm-smi prints of them, and the device nodes of a host of the bed."""

from __future__ import annotations

import json
import re
from pathlib import Path

KFD_MAJOR, DRM_MAJOR, FIRST_RENDER = 511, 226, 128  # of the nodes (Linux, devices.txt; the driver takes any for kfd)
RENDER_GROUP = 993
MI300X = {"Card Series": "AMD Instinct MI300X OAM", "VRAM Total Memory (B)": str(196_592 << 20)}


def wanted_of(gpus: str) -> int:
    """Return how many of AMD's are in a Make's `gpus`: "mi300xx4" is four."""
    found = re.fullmatch(r"mi300xx(\d+)", gpus)
    return int(found[1]) if found else 0


def unique_id(number: int) -> str:
    return f"0x{0x9F30_0000_0000_0001 + number:x}"


def write_amd(many: int, folder: Path) -> None:
    """Write rocm-smi and the list of device nodes that boot.sh makes below a host's folder."""
    cards = {
        f"card{n}": {"Unique ID": unique_id(n), "VRAM Total Used Memory (B)": "299892736", **MI300X}
        for n in range(many)
    }
    tool = folder / "bin" / "rocm-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(cards)}\nEND\n")
    tool.chmod(0o755)
    nodes = [f"dri/renderD{FIRST_RENDER + n} {DRM_MAJOR} {FIRST_RENDER + n}\n" for n in range(many)]
    (folder / "nodes").write_text(f"kfd {KFD_MAJOR} 0\n{''.join(nodes)}")
    with (folder / "etc" / "group").open("a") as groups:
        groups.write(f"render:x:{RENDER_GROUP}:\n")
