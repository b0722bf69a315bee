"""Owns how it looks while targets are read: one line each, and a sign of life when it takes long."""

from __future__ import annotations

from infctl.ops.reading import ReadingDone
from infctl.views.style import Style, bytes_text, count, seconds_text


def show_reading(done: ReadingDone, width: int, style: Style) -> str:
    """Return the line of a target that answered; `width` is that of the longest target's name."""
    where = ", ".join(done.places[:3]) if done.places and len(done.places) <= 3 else done.type  # noqa: PLR2004
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
