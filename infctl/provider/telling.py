"""Owns which lines of an engine's log say why something failed. Pure; knows no engine and no provider."""

from __future__ import annotations

import re
from collections.abc import Sequence

MATTERS = re.compile(
    r"\berror\b|error:|exception|fail|cannot|could not|unable|denied|not found|no such|invalid|out of memory"
    r"|killed|abort|given up|^[\d.]+ E ",
    re.IGNORECASE,
)
CLOCK = re.compile(r"^(?:[\d.:,TZ/+-]+\s+)+(?=\S)")


def telling_lines(lines: Sequence[str], most: int = 8) -> tuple[str, ...]:
    """Return the lines of a log that say why something failed, oldest first, each once; else its last lines."""
    said = {CLOCK.sub("", line).strip(): line for line in lines if line.strip()}
    found = [line for line in said.values() if MATTERS.search(line)]
    return tuple(found[-most:] or list(said.values())[-most:])


def last_line(lines: Sequence[str]) -> str:
    """Return the last line that says something, without its time of day."""
    said = (CLOCK.sub("", line).strip() for line in reversed(lines))
    return next(filter(None, said), "")
