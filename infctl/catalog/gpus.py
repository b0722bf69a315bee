"""Owns the catalogue's GPUs: what a product can do, found by whatever name people or drivers use.

Knows no host: what is installed where is the inventory's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from functools import cache
from typing import Any, Literal

from infctl.catalog.files import read_rows
from infctl.catalog.names import plain_gpu
from infctl.frozen import dataclass

Market = Literal["datacenter", "workstation", "gaming"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One product. `memory` in GiB as an engine sees it, `label` in GB as it is sold; `bandwidth` in GB/s; `fp16`,
    `fp8`, `int8`, `fp4` in dense TFLOPS, 0 where the hardware has no such path; `fp32` in TFLOPS of the ordinary cores,
    0 where it is not known; `sustained` is the part of the fp16 FLOPS that large products reach for longer, under the
    limits of power and clock; `link_rate` in GB/s per direction.

    `market` is for what it is sold: servers are not offered with the others, and the licence of GeForce's driver keeps
    it out of data centers (NVIDIA, License for Customer Use of GeForce Software).

    `compute` is the CUDA compute capability ("9.0") or AMD's target ("gfx942"). `mig`: profile -> how many fit.
    """

    name: str
    compute: str
    memory: float
    label: int
    bandwidth: float
    fp16: float
    fp8: float = 0.0
    int8: float = 0.0
    fp4: float = 0.0
    fp32: float = 0.0
    sustained: float = 0.8
    link_kind: str = "pcie"
    link_rate: float = 32.0
    mig: Mapping[str, int] = field(default_factory=dict)
    vendor: str = "nvidia"
    market: Market = "datacenter"
    aliases: tuple[str, ...] = ()
    source: str = ""

    @property
    def sm(self) -> int:
        """The compute capability as an integer, 90 for "9.0"; 0 where there is none."""
        return _sm(self.compute)


@cache
def _sm(compute: str) -> int:
    major, dot, minor = compute.partition(".")
    return int(major) * 10 + int(minor) if dot else 0


@dataclass(frozen=True, slots=True)
class Gpus:
    """The GPUs of a catalogue, by name, in the file's order; `ambiguous` maps plain names to all they may mean."""

    rows: Mapping[str, Gpu]
    by_plain: Mapping[str, tuple[str, ...]]

    def find(self, name: str) -> tuple[Gpu, ...]:
        """Return what `name` may mean, the likeliest first; nothing where the catalogue does not know it."""
        return tuple(self.rows[each] for each in self.by_plain.get(plain_gpu(name), ()))


@cache
def gpus(own: str = "") -> Gpus:
    """Return the catalogue's GPUs, with the rows of a user's own file (a path) added or put in their place.

    Raises InfctlError (bad-catalog).
    """
    files = read_rows("gpus", own)
    rows = {row["name"]: _gpu(row) for file in files for row in file["gpus"]}
    plain: dict[str, tuple[str, ...]] = {}
    for row in rows.values():
        for spelled in (row.name, *row.aliases):
            plain[plain_gpu(spelled)] = (row.name,)
    for file in files:
        plain |= {plain_gpu(name): tuple(names) for name, names in file.get("ambiguous", {}).items()}
    return Gpus(rows, plain)


def _gpu(row: Mapping[str, Any]) -> Gpu:
    link = row.get("link", {})
    known = {name: row[name] for name in Gpu.__dataclass_fields__ if name in row}
    known |= {"aliases": tuple(row.get("aliases", ())), "source": str(row.get("source", ""))}
    return Gpu(**{**known, "link_kind": link.get("kind", "pcie"), "link_rate": float(link.get("rate", 32))})
