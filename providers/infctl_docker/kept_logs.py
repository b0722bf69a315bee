"""Owns the ends of the logs of replicas that were removed, on this machine: of the newest few, for who asks why.

What an engine wrote may hold what nobody else should read: only the owner of the folder may. Knows no host.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from infctl.address import parse_address
from infctl.provider.values import Labels

KEPT = 20  # logs; the oldest go
LINES = 1000  # of each, its last ones


def keep_log(folder: Path, labels: Labels, lines: Sequence[str]) -> None:
    """Keep what a replica wrote; `lines` are its last, oldest first. Raises OSError."""
    if not lines:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{_place_of(labels)}{labels.id}.log"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    for old in sorted(folder.glob("*.log"), key=_age, reverse=True)[KEPT:]:
        old.unlink(missing_ok=True)


def kept_lines(folder: Path, labels: Labels, tail: int) -> tuple[str, ...]:
    """Return the last lines of a removed replica: of this object, else of the newest of its revision in its slot."""
    same = sorted(folder.glob(f"{_place_of(labels)}*.log"), key=_age)
    own = [path for path in same if labels.id and path.stem.endswith(f"@{labels.id}")]
    found = (own or same)[-1:]
    lines = found[0].read_text("utf-8").splitlines() if found and tail else []
    return tuple(lines[-tail:])


def _place_of(labels: Labels) -> str:
    slot = parse_address(labels.address).key.rpartition("/")[2]
    return f"{labels.model}@{labels.revision}@{slot}@"


def _age(path: Path) -> float:
    return path.stat().st_mtime
