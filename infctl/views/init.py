"""Owns what a person reads after the first command: what was written, and what to type next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infctl.views.style import Style

if TYPE_CHECKING:
    from infctl.ops.init import Begun


def show_begun(begun: Begun, style: Style) -> list[str]:
    lines = [style.paint(f"Wrote the stack {begun.stack}.", "bold", "green"), *style.wrap(begun.about, "  "), ""]
    lines += (f"  {path}" for path in begun.written)
    if not begun.ignored:
        lines += ["", "Your .gitignore was left as it is: add the line .infctl/ to it."]
    return [
        *lines,
        "",
        "Next:",
        "    infctl plan     shows what would be started",
        "    infctl apply    starts it, and prints a line that asks the model something",
    ]
