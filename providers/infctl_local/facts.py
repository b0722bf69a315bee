"""Owns pure readings: what an object's own description says, how much memory there is.

Text in, values out. Knows nothing of files or processes.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from infctl.provider.values import Labels, Values, decode, encode


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
