"""Owns the moving part of a run on a terminal: a line for each step under way, with its phase and its time.

The only view that needs rich, which is imported when the first step starts.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from infctl.apply.events import GateWaiting, StepEvent, StepProgress, StepStarted, StillRunning
from infctl.secrets import redact
from infctl.views.progress import fitted, label, said
from infctl.views.style import Style, seconds_text

if TYPE_CHECKING:
    from rich.live import Live

_MOVING = (StepStarted, StepProgress, GateWaiting, StillRunning)
_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MOST = 12  # steps shown at once; more are counted


class LiveRun:
    """Shows what is under way below what is done. One thread redraws; `see` and `print` may come from any."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._steps: dict[str, tuple[StepEvent, str, float]] = {}
        self._live: Live | None = None

    def see(self, event: StepEvent) -> None:
        """Take in an event: a step begins, goes on, or is over."""
        self._style = fitted(self._style, event)
        if not isinstance(event, _MOVING):
            self._steps.pop(event.step, None)
        elif not isinstance(event, StillRunning):
            self._steps[event.step] = (event, said(event), time.monotonic() - event.seconds)

    @property
    def under_way(self) -> frozenset[str]:
        """The ids of the steps that are shown as moving."""
        return frozenset(self._steps)

    def print(self, lines: Iterable[str]) -> None:
        """Print finished lines above what moves."""
        live = self._started()
        from rich.text import Text

        for line in lines:
            live.console.print(Text.from_ansi(redact(line)), soft_wrap=True)

    def close(self) -> None:
        if self._live is not None:
            self._steps.clear()
            self._live.stop()
            self._live = None

    def _started(self) -> Live:
        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(width=self._style.width, no_color=not self._style.color, highlight=False)
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=8, transient=True)
            self._live.start()
        return self._live

    def _render(self) -> Any:
        from rich.text import Text

        now = time.monotonic()
        frame = _FRAMES[int(now * 8) % len(_FRAMES)]
        steps = list(self._steps.values())
        lines = []
        for event, words, began in steps[:_MOST]:
            text = self._style.cut(f"{frame} {label(event, self._style).lstrip()}{words}", 10)
            lines.append(f"{text}  {seconds_text(now - began)}")
        if len(steps) > _MOST:
            lines.append(f"  and {len(steps) - _MOST} more")
        return Text(redact("\n".join(lines)))
