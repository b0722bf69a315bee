"""Owns what nvidia-smi prints: the devices, their slices, who uses them, and the sentences it fails with.

Knows nothing of how it is run. Memory in bytes; nvidia-smi counts in MiB (NVIDIA, nvidia-smi manual).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

MIB = 1024**2
GIB = 1024**3

# The columns asked for. compute_cap came with driver 465 and mig.mode.current with 450: older ones refuse the whole
# query because of one such name, so it is asked again without them.
COLUMNS = ("index", "uuid", "name", "memory.total", "memory.used", "memory.free", "driver_version")
NEWER_COLUMNS = ("mig.mode.current", "compute_cap")
APP_COLUMNS = ("gpu_uuid", "pid", "used_memory")
ALIASES = {
    "gpu_name": "name",
    "gpu_uuid": "uuid",
    "used_gpu_memory": "used_memory",
}

# A profile's name rounds its memory up; the furthest of all that NVIDIA's MIG guide lists is 1g.24gb of a GB200,
# which has 20.00 GiB. What a slice has at least, when only its profile is known:
LEAST_OF_PROFILE = (5, 6)

LISTED = re.compile(r"^GPU (\d+): (.+) \(UUID: (GPU-[^)]+)\)\s*$")
LISTED_SLICE = re.compile(r"^\s+MIG (\S+)\s+Device\s+(\d+):\s+\(UUID: (MIG-[^)]+)\)\s*$")
SLICE_ROW = re.compile(r"^\|\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+\|\s+(\d+)MiB /\s*(\d+)MiB")
PROFILE = re.compile(r"\.(\d+)gb")


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device as the driver tells of it. `memory_total` is 0 where the driver does not say: on a device that needs a
    reset, and on one that has the processor's memory (`shared`). What is not known to be free counts as used.
    """

    index: int
    uuid: str
    product: str
    memory_total: int
    memory_used: int
    memory_free: int
    driver: str = ""
    mig: bool = False
    compute: str = ""
    shared: bool = False


class App(NamedTuple):
    """A process on a device. `memory` is None where the driver does not tell it."""

    device: str
    pid: int
    memory: int | None


class Slice(NamedTuple):
    """A MIG device: slice `number` of the GPU `parent`, whose index is `gpu`."""

    gpu: int
    parent: str
    number: int
    profile: str
    uuid: str

    @property
    def least_memory(self) -> int:
        """Bytes that a slice of this profile has at least; 0 for a profile whose name does not say."""
        named = PROFILE.search(self.profile)
        times, parts = LEAST_OF_PROFILE
        return int(named[1]) * GIB * times // parts if named else 0


class SliceMemory(NamedTuple):
    """How much of a slice's memory is in use."""

    used: int
    total: int


def parse_gpus(text: str, columns: Sequence[str] = COLUMNS) -> tuple[Gpu, ...]:
    """Return the devices in `nvidia-smi --query-gpu=… --format=csv`, with or without header and units.

    `columns` are those asked for; a header says it better. Lines that are no row (warnings, errors) are passed over.
    """
    return tuple(_gpu(row) for row in _rows(text, columns, "name"))


def parse_apps(text: str, columns: Sequence[str] = APP_COLUMNS) -> tuple[App, ...]:
    """Return the processes in `nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory --format=csv`."""
    rows = _rows(text, columns, "pid")
    return tuple(
        App(row.get("uuid", ""), int(row["pid"]), _memory(row.get("used_memory", "")))
        for row in rows
        if row["pid"].isdigit()
    )


def parse_slices(text: str) -> tuple[Slice, ...]:
    """Return the MIG devices in `nvidia-smi -L`."""
    found: list[Slice] = []
    gpu, parent = 0, ""
    for line in text.splitlines():
        if whole := LISTED.match(line):
            gpu, parent = int(whole[1]), whole[3]
        elif part := LISTED_SLICE.match(line):
            found.append(Slice(gpu, parent, int(part[2]), part[1], part[3]))
    return tuple(found)


def parse_slice_memory(text: str) -> Mapping[tuple[int, int], SliceMemory]:
    """Return, by index of the GPU and number of the slice, the memory in the MIG table of a plain `nvidia-smi`."""
    rows = (SLICE_ROW.match(line) for line in text.splitlines())
    return {
        (int(row[1]), int(row[4])): SliceMemory(int(row[5]) * MIB, int(row[6]) * MIB) for row in rows if row is not None
    }


def _rows(text: str, columns: Sequence[str], needed: str) -> Iterator[Mapping[str, str]]:
    names = tuple(_column(name) for name in columns)
    for cells in csv.reader(text.splitlines(), skipinitialspace=True):
        titles = tuple(_column(cell) for cell in cells)
        if needed in titles:
            names = titles
        elif len(cells) == len(names):
            yield dict(zip(names, (cell.strip() for cell in cells), strict=True))


def _column(title: str) -> str:
    """Return a column's name as it is asked for: "memory.total [MiB]" is memory.total."""
    name = title.partition(" [")[0].strip()
    return ALIASES.get(name, name)


def _gpu(row: Mapping[str, str]) -> Gpu:
    total = _memory(row.get("memory.total", "")) or 0
    used, free = _memory(row.get("memory.used", "")), _memory(row.get("memory.free", ""))
    if used is None:
        used = total - (free or 0)
    if free is None:
        free = total - used
    index = row.get("index", "")
    return Gpu(
        int(index) if index.isdigit() else 0,
        row.get("uuid", ""),
        row["name"],
        total,
        used,
        free,
        _word(row.get("driver_version", "")),
        row.get("mig.mode.current", "") == "Enabled",
        _word(row.get("compute_cap", "")),
        row.get("memory.total", "") == "[N/A]",
    )


def _memory(cell: str) -> int | None:
    """Return bytes; None for "[N/A]", "[Insufficient Permissions]", "[GPU requires reset]" and the like."""
    number = cell.removesuffix(" MiB")
    return int(number) * MIB if number.isdigit() else None


def _word(cell: str) -> str:
    return "" if cell.startswith("[") or cell in {"N/A", "ERR!"} else cell
