"""Owns which GPUs of a host fast links join, from `nvidia-smi topo -m` or from pairs that a library tells.

Pure. Knows no memory and no process.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")  # the header is underlined, also where no terminal reads it
NAMED = re.compile(r"^GPU(\d+)$")
NVLINK = re.compile(r"^NV\d+$")  # a bonded set of so many NVLinks (nvidia-smi topo -m, legend)


def parse_islands(text: str) -> Mapping[int, str]:
    """Return, by index, the island of each GPU in `nvidia-smi topo -m`: see `islands_of`. Lines that are none of the
    matrix are passed over.
    """
    columns: list[int] = []
    links: list[tuple[int, int]] = []
    for line in text.splitlines():
        words = ESCAPE.sub("", line).split()
        numbers = [int(named[1]) for word in words if (named := NAMED.match(word))]
        if not columns:
            columns = numbers
        elif words and (row := NAMED.match(words[0])):
            links += _linked(int(row[1]), zip(columns, words[1:], strict=False))
    return islands_of(columns, links)


def _linked(row: int, cells: Iterable[tuple[int, str]]) -> Iterator[tuple[int, int]]:
    return ((row, column) for column, cell in cells if NVLINK.match(cell))


def islands_of(gpus: Collection[int], links: Iterable[tuple[int, int]]) -> Mapping[int, str]:
    """Return, by index, the island of each GPU that a fast link joins to another; those that none does are together.

    Empty where that tells no two GPUs apart: where links join all of them, or none.
    """
    group = {index: index for index in gpus}
    for one, other in links:
        low, high = sorted((group[one], group[other]))
        group = {index: low if name == high else name for index, name in group.items()}
    sizes = [*group.values()]
    joined = {index: f"nvlink-{name}" for index, name in group.items() if sizes.count(name) > 1}
    return joined if len(joined) < len(group) or len(set(joined.values())) > 1 else {}
