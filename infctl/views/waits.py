"""Owns which words about a long wait a reader of plain lines gets: its beginning, then one line each ten seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from infctl.apply.events import GateWaiting, StillRunning
from infctl.views.progress import show_words
from infctl.views.style import Style

REMINDER: Final = 10.0  # seconds


class Waits:
    """What was said of each step that waits for an answer, and what it said last itself."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}
        self._detail: dict[str, str] = {}

    def show(self, event: GateWaiting | StillRunning, style: Style) -> list[str]:
        """Return the line that is due for `event`, none for one that only tells how the wait goes."""
        first = event.step not in self._told
        if isinstance(event, GateWaiting):
            self._detail[event.step] = event.detail
            if not first and event.elapsed - self._told[event.step] < REMINDER:
                return []
        self._told[event.step] = event.elapsed
        if first:
            return show_words(replace(event, seconds=0.0), "waiting for an answer", style)
        detail = self._detail.get(event.step, "")
        return show_words(event, f"still waiting for an answer{f': {detail}' if detail else ''}", style)
