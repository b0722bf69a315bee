"""Owns how a change of layout looks: a unified diff."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from infctl.views.style import Style

if TYPE_CHECKING:
    from infctl.ops.fmt import Formatted

_COLORS = {"+": "green", "-": "red", "@": "cyan"}


def show_diff(made: Formatted, style: Style) -> list[str]:
    before, after = (text.decode(errors="replace").splitlines() for text in (made.before, made.after))
    lines = difflib.unified_diff(before, after, f"old/{made.file}", f"new/{made.file}", lineterm="")
    return [style.paint(line, _COLORS[line[0]]) if line[:1] in _COLORS else line for line in lines]
