"""Owns how it looks while targets are read: one line each, and a sign of life when it takes long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from infctl.ops.reading import ReadingDone
from infctl.views.style import Style, bytes_text, count, seconds_text

_NAMED: Final = 3  # places up to which each is named


def show_waiting(target: str, looking: Mapping[str, str], seconds: float) -> str:
    """Return the line of a target that has not answered yet; `looking` is how far each of its places is."""
    said = []
    for phase in ("connect", "read"):
        places = [place for place, now in looking.items() if now == phase]
        if places:
            said.append(f"{phase} {', '.join(places) if len(places) <= _NAMED else count(len(places), 'host')}")
    how_far = f": {' · '.join(said)}" if said else ""
    return f"{target}  reading… {seconds:.0f}s{how_far}"


def show_reading(done: ReadingDone, width: int, style: Style) -> str:
    """Return the line of a target that answered; `width` is that of the longest target's name."""
    where = ", ".join(done.places[:3]) if done.places and len(done.places) <= _NAMED else done.type
    found = []
    if len(done.places) > 1:
        found.append(count(len(done.places), "host"))
    if done.devices:
        found.append(count(done.devices, "GPU"))
    if done.memory_total:
        found.append(f"{bytes_text(done.memory_free)} of {bytes_text(done.memory_total)} free")
    found.append(count(done.objects, "object"))
    found += [f"{place.place} cannot be read: {place.reason}" for place in done.unreadable]
    text = f"{done.target.ljust(width)}  {where}  reading… {', '.join(found)}"
    return f"{style.cut(text, 8)}  {style.paint(seconds_text(done.seconds), 'dim')}"
