"""Owns how a rebuilt state looks before it is stored: what was found, what is not known, what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infctl.views.style import Style, columns, count

if TYPE_CHECKING:
    from infctl.ops.recover import Rebuilt

_MOST_SHOWN = 30  # objects; of a larger stack the rest is counted


def show_rebuilt(rebuilt: Rebuilt, style: Style) -> list[str]:
    """Return what is to be stored, and every sentence about what could not be found out."""
    state = rebuilt.recovered.state
    things = sorted(state.resources.values(), key=lambda thing: (thing.address, thing.id))
    rows = [
        (f"  {thing.address}", thing.name, f"r{thing.revision}" if thing.revision else "",
         "begun, end unknown" if thing.pending else "left over" if thing.deposed else "")
        for thing in things[:_MOST_SHOWN]
    ]  # fmt: skip
    lines = [style.paint(f"Found of {state.stack}, workspace {state.workspace}, lineage {state.lineage}:", "bold"), ""]
    lines += columns(rows) or ["  nothing that runs"]
    if len(things) > _MOST_SHOWN:
        lines.append(f"  and {len(things) - _MOST_SHOWN:,} more")
    notes = [*rebuilt.recovered.notes, *(f"{u.place} could not be read: {u.reason}" for u in rebuilt.unreadable)]
    if notes:
        lines += ["", *(line for note in notes for line in style.wrap(note, "  - ", "    "))]
    serving = [f"{model.name} r{model.revision}" for model in state.models.values() if model.revision]
    models = f": {', '.join(serving)}" if 0 < len(serving) <= 10 else ""  # noqa: PLR2004  # what fits a line
    held = f"{count(len(things), 'object')} and {count(len(state.models), 'model')}{models}"
    return [*lines, "", f"State will be serial {state.serial}, with {held}."]
