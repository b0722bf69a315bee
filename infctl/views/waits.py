"""Owns which words about a long step a reader of plain lines gets: each phase as it begins, then some now and then."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from infctl.apply.events import GateWaiting, StepProgress, StillRunning
from infctl.views.progress import said, show_words
from infctl.views.style import Style

REMINDER: Final = 10.0  # seconds

Wait = GateWaiting | StepProgress | StillRunning


class Waits:
    """What was said of each step that takes long, when, and what it said last itself."""

    def __init__(self) -> None:
        self._begun: set[tuple[str, str]] = set()  # step and phase: an image's layers come and are unpacked in turns
        self._told: dict[str, float] = {}
        self._words: dict[str, str] = {}

    def show(self, event: Wait, style: Style) -> list[str]:
        """Return the line that is due for `event`, none for one that only tells how the phase goes on."""
        if isinstance(event, StepProgress):
            return self._progress(event, style)
        if isinstance(event, StillRunning) and event.phase != "load":
            return show_words(event, self._words.get(event.step) or said(event), style)
        return self._gate(event, style)

    def _progress(self, event: StepProgress, style: Style) -> list[str]:
        self._words[event.step] = words = said(event)
        return show_words(event, words, style) if self._begins(event, event.phase if event.total else words) else []

    def _gate(self, event: GateWaiting | StillRunning, style: Style) -> list[str]:
        first = self._begins(event, "load")
        if isinstance(event, GateWaiting):
            self._words[event.step] = event.detail
            if not first and event.elapsed - self._told[event.step] < REMINDER:
                return []
        self._told[event.step] = event.elapsed
        if first:
            return show_words(replace(event, seconds=0.0), "load: waiting for an answer", style)
        return show_words(event, f"load: {self._words.get(event.step) or 'still waiting for an answer'}", style)

    def _begins(self, event: Wait, phase: str) -> bool:
        known = (event.step, phase) in self._begun
        self._begun.add((event.step, phase))
        return not known
