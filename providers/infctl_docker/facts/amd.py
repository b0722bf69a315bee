"""Owns what rocm-smi and amd-smi print of AMD's devices, in JSON and across their versions.

Knows nothing of how they are run. Memory in bytes; amd-smi's "MB" are MiB (an MI300X of 192 GiB shows 196592).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infctl_docker.facts.nvidia import Gpu

MIB = 1024**2
UNITS = {"B": 1, "KB": 1024, "MB": MIB, "GB": 1024 * MIB}
CARD = re.compile(r"^card(\d+)$")
NAMES = ("card series", "market name", "product name", "device name", "card model")
UNTOLD = frozenset({"", "n/a", "0x0", "none"})


def parse_rocm_smi(text: str) -> tuple[Gpu, ...]:
    """Return the devices in `rocm-smi --showmeminfo vram --showproductname --showuniqueid --json`.

    A device without an id of its own is known by its card's name ("card0"). Raises ValueError for what is no JSON.
    """
    cards = _json(text)
    found = sorted((int(named[1]), cards[key]) for key in cards if (named := CARD.match(key)))
    return tuple(_card(index, {name.casefold(): str(value) for name, value in card.items()}) for index, card in found)


def parse_amd_smi(listed: str, static: str, metric: str) -> tuple[Gpu, ...]:
    """Return the devices in `amd-smi list --json`, `static --asic --vram --json` and `metric --mem-usage --json`.

    Raises ValueError for what is no JSON.
    """
    statics, metrics = _by_gpu(static), _by_gpu(metric)
    found = []
    for index, row in sorted(_by_gpu(listed).items()):
        asic, vram = statics.get(index, {}).get("asic", {}), statics.get(index, {}).get("vram", {})
        memory = metrics.get(index, {}).get("mem_usage", {})
        total = _amount(memory.get("total_vram")) or _amount(vram.get("size")) or 0
        used = _amount(memory.get("used_vram"))
        used = total if used is None else used
        graphics = str(asic.get("target_graphics_version", ""))
        found.append(
            Gpu(
                index,
                str(row.get("uuid", "")),
                str(asic.get("market_name", "")),
                total,
                used,
                total - used,
                compute=graphics if graphics.casefold() not in UNTOLD else "",
            )
        )
    return tuple(found)


def parse_doors(text: str) -> Mapping[str, int]:
    """Return the group of each device node in `stat -c '%n %g' NODE...`."""
    lines = (line.rpartition(" ") for line in text.splitlines())
    return {node: int(group) for node, _, group in lines if node.startswith("/dev/") and group.isdigit()}


def _card(index: int, card: Mapping[str, str]) -> Gpu:
    total = _bytes(card.get("vram total memory (b)", "")) or 0
    used = _bytes(card.get("vram total used memory (b)", ""))
    used = total if used is None else used
    ident = card.get("unique id", "")
    return Gpu(
        index,
        ident if ident.casefold() not in UNTOLD else f"card{index}",
        next((card[name] for name in NAMES if _is_word(card.get(name, ""))), ""),
        total,
        used,
        total - used,
        compute=card.get("gfx version", ""),
    )


def _is_word(name: str) -> bool:
    """Return whether a name is one: an older rocm-smi that knows no name prints a number, "0xc1e"."""
    return name.casefold() not in UNTOLD and not name.startswith("0x")


def _json(text: str) -> Any:
    """Return the JSON in `text`; before it both tools may print warnings."""
    begin = re.search(r"^\s*[\[{]", text, re.MULTILINE)
    return json.loads(text[begin.start() :]) if begin else {}


def _by_gpu(text: str) -> dict[int, Mapping[str, Any]]:
    rows: Any = _json(text)
    return dict(_numbered(rows.get("gpu_data", ()) if isinstance(rows, dict) else rows))


def _numbered(rows: list[Mapping[str, Any]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for row in rows:
        if isinstance(row.get("gpu"), int):
            yield row["gpu"], row


def _bytes(cell: str) -> int | None:
    return int(cell) if cell.isdigit() else None


def _amount(value: Any) -> int | None:
    """Return bytes of {"value": 196592, "unit": "MB"} or, as older versions print it, "196592 MB"."""
    text = f"{value.get('value')} {value.get('unit')}" if isinstance(value, dict) else str(value)
    number, _, unit = text.partition(" ")
    return int(number) * UNITS.get(unit, MIB) if number.isdigit() else None
