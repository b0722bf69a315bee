"""Owns what the parts of a shared state are called: by serial, by the fence of the lease that wrote them, and a chance.

A lease has its fence alone, and each try of its own to write a part another chance. So a name is never given twice,
whoever was killed or came back late, and a write that was given up and done after all finds the part it speaks of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

HISTORY = 10  # snapshots kept beside the current one, as the local store does
_SNAPSHOT = re.compile(r"history/(\d{10})-(\d{10})-[0-9a-f]{6}\.json")
_SEGMENT = re.compile(r"journal/(\d{10})/(\d{10})-(\d{6})-[0-9a-f]{6}\.jsonl")


def _chance() -> str:
    return os.urandom(3).hex()


def snapshot_name(serial: int, fence: int) -> str:
    return f"history/{serial:010}-{fence:010}-{_chance()}.json"


def segment_name(serial: int, fence: int, first: int) -> str:
    """Return the name of the records from the `first` on that follow the snapshot `serial`."""
    return f"journal/{serial:010}/{fence:010}-{first:06}-{_chance()}.jsonl"


def serial_in(name: str) -> int:
    """Return the serial of a snapshot by its name, -1 for what is none."""
    found = _SNAPSHOT.fullmatch(name)
    return int(found[1]) if found else -1


def fence_in(name: str) -> int:
    """Return the fence of the lease that wrote a part, 0 for what is none."""
    found = _SNAPSHOT.fullmatch(name) or _SEGMENT.fullmatch(name)
    return int(found[2]) if found else 0


def highest_fence(names: Iterable[str]) -> int:
    return max(map(fence_in, names), default=0)


def snapshots(names: Iterable[str]) -> list[str]:
    """Return those that are snapshots, newest first."""
    return sorted((name for name in names if serial_in(name) >= 0), reverse=True)
