"""Owns pure readings: what an object's own description says, how much memory there is, which log lines say why.

Text in, values out. Knows nothing of files or processes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from infctl.provider.values import Labels, Values, decode, encode
from infctl.secrets import Secret

MATTERS = re.compile(
    r"\berror\b|error:|exception|fail|cannot|could not|unable|denied|not found|no such|invalid|out of memory"
    r"|killed|abort|given up|^[\d.]+ E ",
    re.IGNORECASE,
)
CLOCK = re.compile(r"^(?:[\d.:,TZ/+-]+\s+)+(?=\S)")


@dataclass(frozen=True, slots=True)
class Record:
    """How an object on this machine describes itself. `values` hold references to secrets, never a secret."""

    name: str
    target: str
    labels: Labels
    values: Values
    outputs: Values

    def to_json(self) -> str:
        plain = {
            "format": 1,
            "name": self.name,
            "target": self.target,
            "labels": asdict(self.labels),
            "values": encode(self.values),
            "outputs": encode(self.outputs),
        }
        return json.dumps(plain, indent=1)


def parse_record(text: str) -> Record:
    """Return what `Record.to_json` wrote. Raises ValueError, saying what is wrong."""
    plain = json.loads(text)
    try:
        labels = Labels(**plain["labels"])
        return Record(plain["name"], plain["target"], labels, decode(plain["values"]), decode(plain["outputs"]))
    except (KeyError, TypeError) as wrong:
        raise ValueError(f"not an object's description: {wrong!r}") from wrong


def without_secrets(value: Any) -> Any:
    """Return a Change's values as they may be written down: each secret as its reference."""
    if isinstance(value, Secret):
        if value.ref is None:
            raise ValueError("a secret came without its reference, so it cannot be written down")
        return value.ref
    if isinstance(value, Mapping):
        return {key: without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(without_secrets(item) for item in value)
    return value


def free_under_limit(limit: str, used: str, stat: str) -> int | None:
    """Return the bytes a control group still gives out; None where it sets no limit.

    The arguments are the contents of memory.max, memory.current and memory.stat. Pages of files that were
    not used lately are given back before anything fails (Linux, Documentation/admin-guide/cgroup-v2.rst).
    """
    if not limit.strip().isdigit():
        return None
    reclaimable = re.search(r"^inactive_file (\d+)$", stat, re.MULTILINE)
    in_use = int(used) - (int(reclaimable[1]) if reclaimable else 0)
    return max(0, int(limit) - in_use)


def telling_lines(lines: tuple[str, ...], most: int = 8) -> tuple[str, ...]:
    """Return the lines of a log that say why something failed, oldest first, each once; else its last lines."""
    said = {CLOCK.sub("", line).strip(): line for line in lines if line.strip()}
    found = [line for line in said.values() if MATTERS.search(line)]
    return tuple(found[-most:] or list(said.values())[-most:])
