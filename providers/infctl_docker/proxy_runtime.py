"""Owns what a running HAProxy says of itself on its master socket: which workers there are, whom each one serves.

Pure but for the one who asks, which is given. The socket has level `user`: it shows figures and changes nothing.
Formats: HAProxy's management guide, sections 9.3 ("show proc", "show info", "show stat") and 9.4 (master CLI).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Ask = Callable[[str], str]  # a command of the master socket → its answer


@dataclass(frozen=True, slots=True)
class Workers:
    """Process ids. `old` ones only finish what they have."""

    current: tuple[int, ...]
    old: tuple[int, ...]


def read_workers(ask: Ask) -> Workers:
    sections: dict[str, list[int]] = {}
    section = ""
    for line in ask("show proc").splitlines():
        if line.startswith("#"):
            section = line.strip("# ")
        elif found := re.match(r"(\d+)\s+worker\s", line):
            sections.setdefault(section, []).append(int(found[1]))
    return Workers(tuple(sections.get("workers", ())), tuple(sections.get("old workers", ())))


def loaded_digest(ask: Ask) -> str:
    """Return the `description` of the configuration that the current worker runs, "" while there is none."""
    found = re.search(r"^description: (\S+)$", ask("@1 show info"), re.MULTILINE)
    return found[1] if found else ""


def count_sessions(ask: Ask, server: str) -> int:
    """Return how many requests the server of this name has or waits for, over all workers, old ones too."""
    workers = read_workers(ask)
    return sum(_sessions(ask, pid, server) for pid in (*workers.current, *workers.old))


def is_settled(ask: Ask) -> bool:
    """Tell whether every old worker knows that it is one: until then it may still choose among its servers."""
    return all("\nStopping: 0" not in ask(f"@!{pid} show info") for pid in read_workers(ask).old)


def _sessions(ask: Ask, pid: int, server: str) -> int:
    return sum(int(row["scur"] or 0) + int(row["qcur"] or 0) for row in _servers(ask, pid) if row["svname"] == server)


def _servers(ask: Ask, pid: int) -> Iterator[dict[str, str]]:
    """Yield the statistics of the servers of one worker; none where it ended meanwhile."""
    text = ask(f"@!{pid} show stat -1 4 -1")
    start = text.find("# pxname")
    return csv.DictReader(text[start + 2 :].splitlines()) if start >= 0 else iter(())
